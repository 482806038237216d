#include "config/load_fixture.h"

#include <fmt/format.h>

namespace palier::config {
namespace {

/// The keys begin in line 4.
std::string health(const std::string& keys) {
    return fmt::format(
        "[[pool]]\nname = \"p\"\n[pool.health]\n{}\n[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n",
        keys);
}

std::optional<HealthConfig> probes_of(const std::string& keys) {
    return config_of(health(keys)).pools[0].health;
}

HealthConfig health_of(const std::string& keys) {
    const auto probes = probes_of(keys);
    REQUIRE(probes);
    return *probes;
}

Strings mistakes_of(const std::string& keys) {
    return mistakes_in(health(keys));
}

TEST_CASE("a pool without a table of health has no probes") {
    CHECK_FALSE(config_of("").pools[0].health);
}

TEST_CASE("an empty table of health is a probe with all defaults") {
    CHECK(health_of("") == HealthConfig());
    CHECK(config_of("[[pool]]\nname = \"p\"\nhealth = {}\n[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n")
              .pools[0]
              .health == HealthConfig());
}

TEST_CASE("types of probes") {
    CHECK(health_of("type = \"http\"").type == ProbeType::http);
    CHECK(health_of("type = \"tcp\"").type == ProbeType::tcp);
    CHECK(health_of("type = \"tls\"").type == ProbeType::tls);
    CHECK(health_of("type = \"mysql\"").type == ProbeType::mysql);
    CHECK_FALSE(probes_of("type = \"off\""));
    CHECK(mistakes_of("type = \"htpp\"") ==
          Strings{"t:4:8: \"pool.health.type\" must be \"http\", \"tcp\", \"tls\", \"mysql\" or \"off\", not "
                  "\"htpp\"; did you mean \"http\"?"});
    CHECK(mistakes_of("type = 1") == Strings{"t:4:8: \"pool.health.type\" must be a string, not a number"});
}

TEST_CASE("keys that mean nothing for the type are mistakes") {
    const std::string request =
        "method = \"\"\npath = \"\"\nhost = \"*\"\nheaders = 1\nexpect = []\nexpect_body = 1\nkeep_alive = "
        "1\n";
    Strings expected;
    std::size_t line = 5;
    for (const char* key : {"method", "path", "host", "headers", "expect", "expect_body", "keep_alive"}) {
        expected.push_back(
            fmt::format("t:{}:1: \"pool.health.{}\" means nothing for type = \"tcp\"", line++, key));
    }
    CHECK(mistakes_of("type = \"tcp\"\n" + request) == expected);
    CHECK(mistakes_of("type = \"tls\"\npath = \"/\"\nuser = \"x\"\n") ==
          Strings{"t:5:1: \"pool.health.path\" means nothing for type = \"tls\"",
                  "t:6:1: \"pool.health.user\" means nothing for type = \"tls\""});
    CHECK(mistakes_of("type = \"mysql\"\nexpect = 200\n") ==
          Strings{"t:5:1: \"pool.health.expect\" means nothing for type = \"mysql\""});
    CHECK(mistakes_of("user = \"x\"\nread_only = \"on\"\n") ==
          Strings{"t:4:1: \"pool.health.user\" means nothing for type = \"http\"",
                  "t:5:1: \"pool.health.read_only\" means nothing for type = \"http\""});
}

TEST_CASE("one slip with the type is one mistake") {
    CHECK(mistakes_of("type = \"mysq\"\nuser = \"x\"\npath = \"/\"\n").size() == 1);
    CHECK(mistakes_of("tpye = \"mysql\"\nuser = \"x\"\n") ==
          Strings{"t:4:1: unknown key \"pool.health.tpye\"; did you mean \"type\"?"});
    CHECK(mistakes_of("type = \"${PALIER_TEST_UNSET}\"\nuser = \"x\"\n").size() == 1);
}

TEST_CASE("probes that are off are still checked") {
    CHECK_FALSE(probes_of("type = \"off\"\npath = \"/up\"\nuser = \"x\"\ninterval = \"1s\"\n"));
    CHECK(mistakes_of("type = \"off\"\npath = \"up\"\nintervall = \"1s\"\nrise = 0\n") ==
          Strings{"t:5:8: \"pool.health.path\" must begin with \"/\", not \"up\"",
                  "t:6:1: unknown key \"pool.health.intervall\"; did you mean \"interval\"?",
                  "t:7:8: \"pool.health.rise\" must be from 1 to 100, not 0"});
}

TEST_CASE("unknown and misplaced keys of pool.health") {
    CHECK(mistakes_of("pth = \"/\"\nspeed = 1\nfailback = \"auto\"\ntls = true\n") ==
          Strings{"t:4:1: unknown key \"pool.health.pth\"; did you mean \"path\"?",
                  "t:5:1: unknown key \"pool.health.speed\"",
                  "t:6:1: \"failback\" belongs to [[pool]], above [pool.health]",
                  "t:7:1: \"tls\" belongs to [[pool]], above [pool.health]"});
    CHECK(mistakes_of("type = \"tcp\"\npth = \"/\"\n") ==
          Strings{"t:5:1: unknown key \"pool.health.pth\"; did you mean \"path\"?"});
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\n[[pool.health]]\n[[pool.server]]\nname = \"s\"\naddress = "
                      "\"s:1\"\n") ==
          Strings{"t:3:8: \"pool.health\" is one table, not a list: write [pool.health]"});
}

TEST_CASE("the rhythm of probes is read") {
    const HealthConfig probe = health_of(
        "interval = \"10s\"\nfast_interval = \"1s\"\ndown_interval = \"30s\"\ntimeout = \"4s\"\nrise = 100\n"
        "fall = 1\nstart = \"up\"\nprobe_clears = true\n");
    CHECK(probe.interval == Duration(10'000));
    CHECK(probe.fast_interval == Duration(1'000));
    CHECK(probe.down_interval == Duration(30'000));
    CHECK(probe.timeout == Duration(4'000));
    CHECK(probe.rise == 100);
    CHECK(probe.fall == 1);
    CHECK(probe.start_up);
    CHECK(probe.probe_clears);
    CHECK_FALSE(health_of("start = \"down\"\nprobe_clears = false\n").start_up);
}

TEST_CASE("intervals and timeouts follow the interval") {
    const HealthConfig slow = health_of("interval = \"1m\"\n");
    CHECK(slow.fast_interval == Duration(30'000));
    CHECK(slow.down_interval == Duration(60'000));
    CHECK(slow.timeout == Duration(1'000));
    const HealthConfig quick = health_of("interval = \"15ms\"\n");
    CHECK(quick.fast_interval == Duration(10));
    CHECK(quick.down_interval == Duration(15));
    CHECK(quick.timeout == Duration(15));
    CHECK(health_of("interval = \"5s\"\ntimeout = \"5s\"\n").timeout == Duration(5'000));
    CHECK(health_of("interval = \"5s\"\nfast_interval = \"5s\"\n").fast_interval == Duration(5'000));
    CHECK(health_of("down_interval = \"10ms\"\n").down_interval == Duration(10));
    CHECK(health_of("timeout = \"1ms\"\n").timeout == Duration(1));
}

TEST_CASE("intervals and timeouts have bounds") {
    CHECK(mistakes_of(
              "interval = \"9ms\"\nfast_interval = \"9ms\"\ndown_interval = \"9ms\"\ntimeout = \"0s\"\n") ==
          Strings{"t:4:12: \"pool.health.interval\" must be from \"10ms\" to \"7d\", not \"9ms\"",
                  "t:5:17: \"pool.health.fast_interval\" must be from \"10ms\" to \"7d\", not \"9ms\"",
                  "t:6:17: \"pool.health.down_interval\" must be from \"10ms\" to \"7d\", not \"9ms\"",
                  "t:7:11: \"pool.health.timeout\" must be from \"1ms\" to \"7d\", not \"0s\""});
    CHECK(
        mistakes_of("interval = \"8d\"\ntimeout = 5\n") ==
        Strings{"t:4:12: \"pool.health.interval\" must be from \"10ms\" to \"7d\", not \"8d\"",
                "t:5:11: \"pool.health.timeout\" must be a duration, which is a string such as \"2s\", not a "
                "number"});
    CHECK(mistakes_of("rise = 101\nfall = 0\n") ==
          Strings{"t:4:8: \"pool.health.rise\" must be from 1 to 100, not 101",
                  "t:5:8: \"pool.health.fall\" must be from 1 to 100, not 0"});
}

TEST_CASE("nothing is longer than the interval") {
    CHECK(
        mistakes_of("interval = \"500ms\"\nfast_interval = \"501ms\"\ntimeout = \"1s\"\n") ==
        Strings{"t:5:17: \"pool.health.fast_interval\" must not be longer than the interval, which is "
                "\"500ms\"",
                "t:6:11: \"pool.health.timeout\" must not be longer than the interval, which is \"500ms\""});
    CHECK(mistakes_of("timeout = \"3s\"\n") ==
          Strings{"t:4:11: \"pool.health.timeout\" must not be longer than the interval, which is \"2s\""});
    // Of an interval that cannot be read nothing is known.
    CHECK(mistakes_of("interval = \"10 s\"\ntimeout = \"3s\"\n").size() == 1);
    CHECK(mistakes_of("intervall = \"10s\"\ntimeout = \"3s\"\n").size() == 1);
}

TEST_CASE("what a probe starts with is up or down") {
    CHECK(mistakes_of("start = \"unknown\"\nprobe_clears = 1\n") ==
          Strings{"t:4:9: \"pool.health.start\" must be \"up\" or \"down\", not \"unknown\"",
                  "t:5:16: \"pool.health.probe_clears\" must be true or false, not a number"});
}

TEST_CASE("MySQL servers may be asked more by a user") {
    const HealthConfig greeting = health_of("type = \"mysql\"\nuser = \"\"\nread_only = \"any\"\n");
    CHECK(greeting.user.empty());
    CHECK(greeting.read_only == ReadOnly::any);
    const std::string longest(80, 'u');
    CHECK(health_of("type = \"mysql\"\nuser = \"" + longest + "\"\nread_only = \"on\"\n").user == longest);
    CHECK(health_of("type = \"mysql\"\nuser = \"m\"\nread_only = \"on\"\n").read_only == ReadOnly::on);
    CHECK(health_of("type = \"mysql\"\nuser = \"m\"\nread_only = \"off\"\n").read_only == ReadOnly::off);
    CHECK(mistakes_of("type = \"mysql\"\nuser = \"" + longest + "u\"\n") ==
          Strings{"t:5:8: \"pool.health.user\" must be at most 80 bytes, without control characters"});
    CHECK(mistakes_of("type = \"mysql\"\nuser = \"a\\u0000b\"\n") ==
          Strings{"t:5:8: \"pool.health.user\" must be at most 80 bytes, without control characters"});
    CHECK(mistakes_of("type = \"mysql\"\nuser = \"m\"\nread_only = true\n") ==
          Strings{"t:6:13: \"pool.health.read_only\" must be a string, not true or false"});
    CHECK(mistakes_of("type = \"mysql\"\nuser = \"m\"\nread_only = \"yes\"\n") ==
          Strings{"t:6:13: \"pool.health.read_only\" must be \"any\", \"off\" or \"on\", not \"yes\""});
}

TEST_CASE("nobody can say without a user whether a MySQL server takes writes") {
    const Strings needs{"t:5:1: \"pool.health.read_only\" needs \"pool.health.user\": only a user may ask"};
    CHECK(mistakes_of("type = \"mysql\"\nread_only = \"off\"\n") == needs);
    CHECK(mistakes_of("type = \"mysql\"\nread_only = \"on\"\nuser = \"\"\n") == needs);
    CHECK(mistakes_of("type = \"mysql\"\nread_only = \"on\"\nusr = \"m\"\n") ==
          Strings{"t:6:1: unknown key \"pool.health.usr\"; did you mean \"user\"?"});
    CHECK(mistakes_of("type = \"mysql\"\nread_only = \"on\"\nuser = 1\n").size() == 1);
    CHECK(mistakes_of("type = \"mysql\"\nread_only = \"on\"\nuser = \"${PALIER_TEST_UNSET}\"\n").size() == 1);
}

TEST_CASE("probes may go elsewhere") {
    const HealthConfig probe = health_of("address = \"2001:db8::1\"\nport = 65535\n");
    REQUIRE(probe.address);
    CHECK(probe.address->to_string() == "2001:db8::1");
    CHECK(probe.port == 65'535);
    for (const char* address : {"", "front1", "10.0.0.1:80", "[::1]", "10.0.0.0/8"}) {
        CHECK(
            mistakes_of(fmt::format("address = \"{}\"\n", address)) ==
            Strings{fmt::format("t:4:11: \"pool.health.address\" must be an IP address, without a port, not "
                                "\"{}\"",
                                address)});
    }
    CHECK(mistakes_of("port = 0\n") == Strings{"t:4:8: \"pool.health.port\" must be from 1 to 65535, not 0"});
    CHECK(mistakes_of("port = 65536\n") ==
          Strings{"t:4:8: \"pool.health.port\" must be from 1 to 65535, not 65536"});
}

/// A pool with `pool` in line 3 and one server whose own keys begin in line 6.
std::string with_server(const std::string& pool, const std::string& server) {
    return fmt::format("[[pool]]\nname = \"p\"\n{}\n[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n{}",
                       pool, server);
}

TEST_CASE("a server may be probed elsewhere than its pool's others") {
    const ServerConfig server =
        config_of(with_server("health = { port = 80 }",
                              "[pool.server.health]\naddress = \"192.0.2.1\"\nport = 9000\n"))
            .pools[0]
            .servers[0];
    REQUIRE(server.probe_address);
    CHECK(server.probe_address->to_string() == "192.0.2.1");
    CHECK(server.probe_port == 9'000);
    const ServerConfig plain = config_of(with_server("health = { port = 80 }", "")).pools[0].servers[0];
    CHECK_FALSE(plain.probe_address);
    CHECK(plain.probe_port == 0);
}

TEST_CASE("values of a server's health are checked") {
    CHECK(
        mistakes_in(with_server(
            "health = {}", "[pool.server.health]\naddress = \"a\"\nport = 0\npath = \"/\"\nweight = 5\n")) ==
        Strings{"t:8:11: \"pool.server.health.address\" must be an IP address, without a port, not \"a\"",
                "t:9:8: \"pool.server.health.port\" must be from 1 to 65535, not 0",
                "t:10:1: unknown key \"pool.server.health.path\"",
                "t:11:1: \"weight\" belongs to [[pool.server]], above [pool.server.health]"});
}

TEST_CASE("a server's health needs its pool's") {
    const std::string own = "[pool.server.health]\nport = 9000\n";
    CHECK(mistakes_in(with_server("", own)) ==
          Strings{"t:7:14: \"pool.server.health\" means nothing: the pool has no [pool.health]"});
    CHECK(mistakes_in(with_server("health = { type = \"off\" }", own)).empty());
    CHECK(mistakes_in(with_server("helth = {}", own)) ==
          Strings{"t:3:1: unknown key \"pool.helth\"; did you mean \"health\"?"});
    CHECK(mistakes_in(with_server("health = true", own)).size() == 1);
}

TEST_CASE("probes by HTTP are encrypted where requests are") {
    const auto servers = config_of(
                             "[[pool]]\nname = \"p\"\ntls = true\nserver_name = \"f\"\n[pool.health]\n"
                             "[[pool.server]]\nname = \"a\"\naddress = \"a:1\"\n"
                             "[[pool.server]]\nname = \"b\"\naddress = \"b:1\"\ntls = false\n")
                             .pools[0]
                             .servers;
    CHECK(servers[0].probe_tls == BackendTlsConfig{.verify = true, .ca = "", .server_name = "f"});
    CHECK_FALSE(servers[1].probe_tls);
}

TEST_CASE("probes by TCP and MySQL are in plain, and so is a pool without probes") {
    for (const char* health :
         {"health.type = \"tcp\"", "health.type = \"mysql\"", "health.type = \"off\"", ""}) {
        const Config config = config_of(with_server(fmt::format("tls = true\n{}", health), ""));
        CHECK(config.pools[0].servers[0].tls);
        CHECK_FALSE(config.pools[0].servers[0].probe_tls);
    }
}

TEST_CASE("probes by TLS use the keys of TLS also where requests go in plain") {
    const auto servers = config_of(
                             "[[pool]]\nname = \"p\"\nverify = false\nhealth.type = \"tls\"\n"
                             "[[pool.server]]\nname = \"a\"\naddress = \"a:1\"\nserver_name = \"A\"\n"
                             "[[pool.server]]\nname = \"b\"\naddress = \"b:1\"\nverify = true\n"
                             "[[pool.server]]\nname = \"c\"\naddress = \"c:1\"\ntls = true\n")
                             .pools[0]
                             .servers;
    CHECK_FALSE(servers[0].tls);
    CHECK(servers[0].probe_tls == BackendTlsConfig{.verify = false, .ca = "", .server_name = "a"});
    CHECK_FALSE(servers[1].tls);
    CHECK(servers[1].probe_tls == BackendTlsConfig{.verify = true, .ca = "", .server_name = ""});
    CHECK(servers[2].tls);
    CHECK(servers[2].probe_tls == servers[2].tls);
    const auto plain = config_of(with_server("health.type = \"tls\"", "")).pools[0].servers[0];
    CHECK(plain.probe_tls == BackendTlsConfig());
}

TEST_CASE("other probes leave unused keys of TLS mistakes") {
    CHECK(mistakes_in(with_server("health.type = \"tcp\"", "verify = false\n")) ==
          Strings{"t:7:1: \"pool.server.verify\" means nothing without tls = true"});
    CHECK(mistakes_in(with_server("verify = false\nhealth = {}", "")) ==
          Strings{"t:3:1: \"pool.verify\" means nothing without tls = true"});
    CHECK(mistakes_in(with_server("verify = false\nhealth.type = \"tsl\"", "")).size() == 1);
}

}  // namespace
}  // namespace palier::config
