#include "dialogues.h"
#include "mysql_transcript.h"

#include <vector>

using namespace palier;
using namespace palier::health;
using namespace palier::health::test;
using namespace std::string_literals;

namespace {

Make probe(const config::HealthConfig& config) {
    return [&config] { return make_mysql_dialogue(config); };
}

config::HealthConfig with_user(std::string user, config::ReadOnly read_only = config::ReadOnly::any) {
    config::HealthConfig config;
    config.type = config::ProbeType::mysql;
    config.user = std::move(user);
    config.read_only = read_only;
    return config;
}

const config::HealthConfig kGreeting = with_user("");
const config::HealthConfig kUser = with_user("palier");
const config::HealthConfig kMaster = with_user("palier", config::ReadOnly::off);
const config::HealthConfig kReplica = with_user("palier", config::ReadOnly::on);

std::string logged_in() {
    return real_greeting() + packets(2, {real_ok()});
}
const std::string kQuit("\x01\0\0\0\x01", 5);

/// The packets that a client said, as their payloads.
std::vector<std::string> payloads(std::string_view said, std::vector<unsigned>* sequences = nullptr) {
    MysqlPacketReader reader;
    std::vector<std::string> found;
    while (reader.take(said) == MysqlPacketReader::Event::packet) {
        found.emplace_back(reader.payload());
        if (sequences != nullptr) sequences->push_back(reader.sequence());
    }
    CHECK_FALSE(reader.within_packet());
    return found;
}

std::string greeting(std::string_view plugin) {
    std::string payload = real_greeting_payload();
    payload.resize(payload.size() - std::string("mysql_native_password").size() - 1);
    return packets(0, {payload.append(plugin) + '\0'});
}

}  // namespace

TEST_CASE("mysql: without a user, to be refused is to be well", "[mysql_dialogue]") {
    std::string said;
    CHECK(outcome_of(probe(kGreeting), real_greeting() + packets(2, {real_denied()}), false, &said) ==
          "well");
    std::vector<unsigned> sequences;
    const auto packets_said = payloads(said, &sequences);
    REQUIRE(packets_said.size() == 1);
    CHECK(sequences == std::vector<unsigned>{1});
    CHECK(packets_said[0] == from_hex("0182080000000100"
                                      "21") +
                                 std::string(23, '\0') + "palier-probe\0\0mysql_native_password\0"s);

    const auto answer = [](std::string error) {
        return outcome_of(probe(kGreeting), real_greeting() + packets(2, {std::move(error)}));
    };
    CHECK(answer("\xff\xe3\x04#08004Client does not support authentication protocol") == "well");  // 1251
    CHECK(answer("\xff\xa2\x06#28000Access denied for user") == "well");                           // 1698
    CHECK(answer("\xff\x57\x0c#HY000Connections using insecure transport are prohibited") == "well");
    CHECK(answer("\xff\x13\x04#08S01"
                 "Bad handshake") == "error 1043: Bad handshake");
    CHECK(answer("\xff\x10\x04#08004Too many connections") == "error 1040: Too many connections");
}

TEST_CASE("mysql: without a user, a server that lets everybody in is bidden farewell", "[mysql_dialogue]") {
    std::string said;
    CHECK(outcome_of(probe(kGreeting), logged_in(), false, &said) == "well");
    CHECK(said.ends_with(kQuit));
    CHECK(payloads(said).size() == 2);
}

TEST_CASE("mysql: errors in place of the greeting", "[mysql_dialogue]") {
    for (const auto& config : {kGreeting, kMaster}) {
        CHECK(outcome_of(probe(config), packets(0, {"\xff\x10\x04#08004Too many connections"})) ==
              "error 1040: Too many connections");
        CHECK(outcome_of(probe(config), packets(0, {"\xff\x69\x04Host '127.0.0.2' is blocked because of many "
                                                    "connection errors; unblock with 'mariadb-admin "
                                                    "flush-hosts'"})) ==
              "error 1129: Host '127.0.0.2' is blocked because of many connection errors; unblock with "
              "'mariadb-admin flush-hosts'");
        CHECK(outcome_of(probe(config),
                         packets(0, {"\xff\x6a\x04Host '127.0.0.2' is not allowed to connect"})) ==
              "error 1130: Host '127.0.0.2' is not allowed to connect");
        // Some say it as the second packet, without a first one; some deny access before they have greeted.
        CHECK(outcome_of(probe(config), packets(1, {"\xff\x10\x04#08004Too many"})) ==
              "error 1040: Too many");
        CHECK(
            outcome_of(probe(config), packets(0, {real_denied()})).starts_with("error 1045: Access denied"));
    }
}

TEST_CASE("mysql: what is no greeting", "[mysql_dialogue]") {
    const auto answer = [](const std::string& payload) {
        return outcome_of(probe(kGreeting), packets(0, {payload}));
    };
    CHECK(outcome_of(probe(kGreeting), "HTTP/1.1 400 Bad Request\r\n\r\n") == "no MySQL greeting");
    CHECK(outcome_of(probe(kGreeting), "SSH-2.0-OpenSSH_9.2\r\n") == "no MySQL greeting");
    CHECK(outcome_of(probe(kGreeting), std::string(100, '\xff')) == "no MySQL greeting");
    CHECK(answer("") == "an empty packet in place of a greeting");
    CHECK(answer("\x09"
                 "4.0.0") == "MySQL protocol version 9, expected 10");
    CHECK(answer("\xff\x01") == "MySQL protocol version 255, expected 10");
    CHECK(outcome_of(probe(kGreeting), packets(1, {real_greeting_payload()})) == "packets out of order");

    const std::string whole = real_greeting_payload();
    const std::string plugin = "mysql_native_password"s + '\0';
    const std::size_t short_form = whole.find('\0') + 1 + 4 + 8 + 1 + 2;
    for (std::size_t size = 1; size < whole.size() - plugin.size(); ++size) {
        INFO(size);
        // The capabilities' first half may be the end; they say in MariaDB that there is more to come.
        if (size == short_form) continue;
        CHECK(answer(whole.substr(0, size)) == "a malformed greeting");
    }
    CHECK(answer(whole.substr(0, short_form)) == "waiting: an unfinished login");
    std::string old = whole.substr(0, short_form);
    old[short_form - 1] = '\xf5';  // no PROTOCOL_41
    CHECK(answer(old) == "a server older than MySQL 4.1");
    CHECK(outcome_of(probe(kGreeting), greeting(std::string(65, 'x'))) == "a malformed greeting");
    CHECK(answer(whole.substr(0, whole.size() - 1)) == "waiting: an unfinished login");  // MySQL bug 59453
}

TEST_CASE("mysql: the login is in the plugin that the server named", "[mysql_dialogue]") {
    const auto login = [](const std::string& hello) {
        std::string said;
        CHECK(outcome_of(probe(kUser), hello, false, &said) == "waiting: an unfinished login");
        return payloads(said).at(0).substr(32);
    };
    CHECK(login(real_greeting()) == "palier\0\0mysql_native_password\0"s);
    CHECK(login(greeting("caching_sha2_password")) == "palier\0\x01\0caching_sha2_password\0"s);
    CHECK(login(greeting("sha256_password")) == "palier\0\x01\0sha256_password\0"s);
    CHECK(login(greeting("")) == "palier\0\0\0"s);
    // The scramble may be longer than usual, or its length be unsaid; its second half has 13 bytes at least.
    const std::string usual = real_greeting_payload();
    const std::size_t scramble = usual.find('\0') + 1 + 4 + 8 + 1 + 2 + 1 + 2 + 2;
    REQUIRE(usual[scramble] == 21);
    for (const unsigned length : {0U, 8U, 20U, 30U}) {
        std::string other = usual;
        other[scramble] = static_cast<char>(length);
        if (length > 21) other.insert(scramble + 1 + 10, length - 21, 's');
        CHECK(login(packets(0, {other})) == "palier\0\0mysql_native_password\0"s);
    }
    // Without PLUGIN_AUTH there is none.
    std::string payload = real_greeting_payload();
    payload.resize(payload.find('\0') + 1 + 4 + 8 + 1 + 2);
    CHECK(login(packets(0, {payload})) == "palier\0\0"s);
}

TEST_CASE("mysql: what a server may ask for in a login", "[mysql_dialogue]") {
    const auto answers = [](const std::vector<std::string>& payloads_of_server, const std::string& expected) {
        std::string bytes = real_greeting();
        std::vector<unsigned> sequences;
        unsigned next = 2;
        for (const std::string& payload : payloads_of_server) {
            bytes += packets(next, {payload});
            next += payload == "\x01\x03" ? 1 : 2;
        }
        std::string said;
        CHECK(outcome_of(probe(kGreeting), bytes, false, &said) == expected);
        auto found = payloads(said, &sequences);
        found.erase(found.begin());
        return found;
    };
    using List = std::vector<std::string>;
    const std::string native =
        "\xfe"
        "mysql_native_password\0"
        "01234567890123456789\0"s;
    CHECK(answers({native, real_ok()}, "well") == List{"", "\x01"});
    CHECK(answers({native, real_denied()}, "well") == List{""});
    CHECK(answers({"\xfe"
                   "unix_socket\0"s,
                   real_denied()},
                  "well") == List{""});
    CHECK(answers({"\xfe"
                   "caching_sha2_password\0"
                   "0123"s,
                   real_ok()},
                  "well") == List{"\0"s, "\x01"});
    CHECK(answers({"\xfe"
                   "mysql_clear_password"s,
                   real_denied()},
                  "well") == List{"\0"s});
    CHECK(answers({"\xfe", real_denied()}, "well") == List{""});  // as servers before 4.1 ask
    CHECK(answers({"\x01\x03", real_ok()}, "well") == List{"\x01"});
    CHECK(answers({"\x01\x04"}, "the server wants a password").empty());
    CHECK(answers({"\x01Password: ", real_denied()}, "well") == List{""});
    CHECK(answers({native, native, native, native, native}, "a login without end").size() == 4);
    CHECK(
        answers({"\x01\x03", "\x01\x03", "\x01\x03", "\x01\x03", "\x01\x03"}, "a login without end").empty());
    CHECK(answers({""}, "a malformed answer to the login").empty());
    CHECK(answers({"\x0a"}, "a malformed answer to the login").empty());
    CHECK(answers({real_ok().substr(0, 6)}, "a malformed answer to the login").empty());
}

TEST_CASE("mysql: a user that is refused is a failure", "[mysql_dialogue]") {
    std::string said;
    CHECK(outcome_of(probe(kUser), real_greeting() + packets(2, {real_denied()}), false, &said) ==
          "error 1045: Access denied for user 'palier-probe'@'127.0.0.2' (using password: NO)");
    CHECK(payloads(said).size() == 1);  // the server has closed by itself
    CHECK(outcome_of(probe(kUser), real_greeting() + packets(3, {real_ok()})) == "packets out of order");
    CHECK(outcome_of(probe(kUser), real_greeting() + packets(1, {real_ok()})) == "packets out of order");
}

TEST_CASE("mysql: with a user, a server without Galera", "[mysql_dialogue]") {
    std::string said;
    CHECK(outcome_of(probe(kUser), logged_in() + real_no_wsrep(), false, &said) == "well");
    std::vector<unsigned> sequences;
    const auto packets_said = payloads(said, &sequences);
    REQUIRE(packets_said.size() == 3);
    CHECK(packets_said[1] == "\x03SHOW GLOBAL STATUS LIKE 'wsrep_local_state'");
    CHECK(packets_said[2] == "\x01");
    CHECK(sequences == std::vector<unsigned>{1, 0, 0});
    CHECK(outcome_of(probe(kUser), logged_in()) == "waiting: no answer about wsrep_local_state");
}

TEST_CASE("mysql: Galera's states", "[mysql_dialogue]") {
    const auto state = [](std::string_view value) {
        std::string said;
        const std::string found = outcome_of(probe(kUser), logged_in() + wsrep(value), false, &said);
        CHECK(said.ends_with(kQuit));
        return found;
    };
    CHECK(state("4") == "well");
    CHECK(state("") == "well");
    CHECK(state("0") == "wsrep_local_state is 0 (Undefined), expected 4 (Synced)");
    CHECK(state("1") == "wsrep_local_state is 1 (Joining), expected 4 (Synced)");
    CHECK(state("2") == "wsrep_local_state is 2 (Donor), expected 4 (Synced)");
    CHECK(state("3") == "wsrep_local_state is 3 (Joined), expected 4 (Synced)");
    CHECK(state("5") == "wsrep_local_state is 5 (Error), expected 4 (Synced)");
    CHECK(state("6") == "wsrep_local_state is 6, expected 4 (Synced)");
    CHECK(state("44") == "wsrep_local_state is 44, expected 4 (Synced)");
    CHECK(state("a\n" + std::string(60, 'b')) ==
          "wsrep_local_state is a?" + std::string(38, 'b') + "..., expected 4 (Synced)");
}

TEST_CASE("mysql: read_only", "[mysql_dialogue]") {
    const auto value = [](const config::HealthConfig& config, std::string_view text) {
        std::string said;
        const std::string found =
            outcome_of(probe(config), logged_in() + wsrep("4") + read_only(text), false, &said);
        REQUIRE(payloads(said).size() == 4);
        CHECK(payloads(said)[2] == "\x03SELECT @@global.read_only");
        CHECK(said.ends_with(kQuit));
        return found;
    };
    CHECK(value(kMaster, "0") == "well");
    CHECK(value(kMaster, "OFF") == "well");
    CHECK(value(kMaster, "1") == "read_only is on, expected off");
    CHECK(value(kMaster, "NO_LOCK_NO_ADMIN") == "read_only is on, expected off");
    CHECK(value(kReplica, "1") == "well");
    CHECK(value(kReplica, "ON") == "well");
    CHECK(value(kReplica, "NO_LOCK") == "well");
    CHECK(value(kReplica, "0") == "read_only is off, expected on");
    CHECK(value(kReplica, "x") == "read_only is x, expected on");
    CHECK(value(kMaster, "") == "no value of read_only");
    CHECK(outcome_of(probe(kMaster), logged_in() + real_no_wsrep()) == "waiting: no answer about read_only");

    // NULL, and no row at all.
    const std::string before = logged_in() + real_no_wsrep();
    const auto rows = [&](const std::vector<std::string>& tail) {
        std::vector<std::string> all{"\x01", read_only_definition(), result_end()};
        all.insert(all.end(), tail.begin(), tail.end());
        return outcome_of(probe(kMaster), before + packets(1, all));
    };
    CHECK(rows({"\xfb", result_end()}) == "no value of read_only");
    CHECK(rows({result_end()}) == "no value of read_only");
}

TEST_CASE("mysql: bad answers to a query", "[mysql_dialogue]") {
    const auto& definitions = status_definitions();
    const auto answer = [](const std::vector<std::string>& list, unsigned first = 1) {
        return outcome_of(probe(kUser), logged_in() + packets(first, list));
    };
    const std::string columns = "a bad answer to a query: not the columns that were asked for";
    CHECK(answer({real_ok()}) == columns);
    CHECK(answer({"\x01"}) == columns);
    CHECK(answer({""}) == columns);
    CHECK(answer({"\x02\x02"}) == columns);
    CHECK(answer({"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"}) == columns);
    CHECK(answer({"\xfb/etc/passwd"}) == columns);
    CHECK(answer({"\x02",
                  "\x04"
                  "deff"}) == "a bad answer to a query: a malformed column definition");
    CHECK(answer({"\x02", definition_end()}) == "a bad answer to a query: a malformed column definition");
    const std::string no_end = "a bad answer to a query: no end of its column definitions";
    CHECK(answer({"\x02", definitions[0], definitions[1], wsrep_row("4")}) == no_end);
    CHECK(answer({"\x02", definitions[0], definitions[1], "\xfe"}) == no_end);
    const auto rows = [&](std::vector<std::string> list) {
        list.insert(list.begin(), {"\x02", definitions[0], definitions[1], definition_end()});
        return answer(list);
    };
    const std::string malformed = "a bad answer to a query: a malformed row";
    CHECK(rows({""}) == malformed);
    CHECK(rows({"\x01"
                "a"}) == malformed);
    CHECK(rows({"\x01"
                "a\x02"
                "b"}) == malformed);
    CHECK(rows({"\x01"
                "a\x01"
                "b."}) == malformed);
    CHECK(rows({"\xfe"}) == malformed);
    CHECK(rows({"\xfb\x01"
                "4"}) == "waiting: no answer about wsrep_local_state");
    CHECK(rows({wsrep_row("4"), wsrep_row("4")}) == "a bad answer to a query: more rows than were asked for");
    CHECK(rows({wsrep_row("4"), from_hex("fe00000a00")}) ==
          "a bad answer to a query: more results than were asked for");
    CHECK(rows({wsrep_row("4"), "\xff\x25\x05#70100Query execution was interrupted"}) ==
          "error 1317: Query execution was interrupted");
    CHECK(answer({"\xff\xa9\x04#HY000Unknown system variable 'nothing'"}) ==
          "error 1193: Unknown system variable 'nothing'");
    CHECK(answer({"\x02"}, 2) == "packets out of order");
    CHECK(outcome_of(probe(kUser), logged_in() + "\x01\0\x01\x01"s) == "a packet of more than 64 KiB");
}

TEST_CASE("mysql: closed early", "[mysql_dialogue]") {
    CHECK(closed_after(probe(kUser), "") == "closed before it answered");
    CHECK(closed_after(probe(kUser), real_greeting().substr(0, 1)) == "closed within its greeting");
    CHECK(closed_after(probe(kUser), real_greeting().substr(0, 60)) == "closed within its greeting");
    CHECK(closed_after(probe(kUser), real_greeting()) == "closed within the login");
    CHECK(closed_after(probe(kGreeting), real_greeting()) == "closed within the login");
    std::string said;
    CHECK(outcome_of(probe(kMaster), logged_in(), true, &said) == "closed before it answered a query");
    CHECK_FALSE(said.ends_with(kQuit));
    CHECK(closed_after(probe(kMaster), logged_in() + wsrep("4")) == "closed before it answered a query");

    // Cut anywhere, a good transcript is never a verdict.
    const std::string whole = logged_in() + wsrep("4") + read_only("0");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        auto dialogue = make_mysql_dialogue(kMaster);
        CHECK(run(*dialogue, whole.substr(0, size), 1000, false).starts_with("waiting: "));
    }
    CHECK(outcome_of(probe(kMaster), whole) == "well");
}

TEST_CASE("mysql: the stages of a timeout", "[mysql_dialogue]") {
    CHECK(make_mysql_dialogue(kUser)->stage() == "no answer");
    CHECK(outcome_of(probe(kUser), real_greeting().substr(0, 3)) == "waiting: half a greeting");
    CHECK(outcome_of(probe(kUser), real_greeting()) == "waiting: an unfinished login");
}
