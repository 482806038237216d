#include "config/load_fixture.h"

namespace palier::config {
namespace {

TEST_CASE("absent keys have the defaults of the structs") {
    const Config config = config_of("");
    const Config defaults;
    CHECK(config.node.empty());
    CHECK(config.workers == 0);
    CHECK(config.control_socket == "/run/palier/control.sock");
    CHECK(config.admin == "127.0.0.1:9901");
    CHECK(config.shutdown_grace == Duration(30'000));
    CHECK(config.log.access == "stdout");
    CHECK(config.timeouts.client_idle == defaults.timeouts.client_idle);
    CHECK(config.limits.header_size == 32 * 1024);
    CHECK(config.trusted_proxies.empty());
}

TEST_CASE("the general keys are read") {
    const Config config = config_of(R"(
node = "srv1"
workers = 256
control_socket = "/run/c.sock"
admin = "[::1]:9901"
shutdown_grace = "0s"
trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]
[log]
level = "warning"
access = "/var/log/access.log"
format = "combined"
[timeouts]
client_header = "1s"
client_body = "2s"
client_idle = "3s"
client_write = "4s"
handshake = "5s"
connect = "6s"
server = "7s"
server_idle = "8s"
tunnel = "168h"
[limits]
header_size = "1KiB"
headers = 8
body = "10MiB"
connections = 1000
streams = 1
)");
    CHECK(config.node == "srv1");
    CHECK(config.workers == 256);
    CHECK(config.control_socket == "/run/c.sock");
    CHECK(config.admin == "[::1]:9901");
    CHECK(config.shutdown_grace == Duration(0));
    REQUIRE(config.trusted_proxies.size() == 2);
    CHECK(config.trusted_proxies[0].to_string() == "10.0.0.0/8");
    CHECK(config.trusted_proxies[1].to_string() == "2001:db8::1/128");
    CHECK(config.log.level == LogLevel::warning);
    CHECK(config.log.access == "/var/log/access.log");
    CHECK(config.log.format == LogFormat::combined);
    const TimeoutsConfig& timeouts = config.timeouts;
    CHECK(timeouts.client_header == Duration(1'000));
    CHECK(timeouts.client_body == Duration(2'000));
    CHECK(timeouts.client_idle == Duration(3'000));
    CHECK(timeouts.client_write == Duration(4'000));
    CHECK(timeouts.handshake == Duration(5'000));
    CHECK(timeouts.connect == Duration(6'000));
    CHECK(timeouts.server == Duration(7'000));
    CHECK(timeouts.server_idle == Duration(8'000));
    CHECK(timeouts.tunnel == Duration(604'800'000));
    CHECK(config.limits.header_size == 1024);
    CHECK(config.limits.headers == 8);
    CHECK(config.limits.body == 10'485'760);
    CHECK(config.limits.connections == 1000);
    CHECK(config.limits.streams == 1);
}

TEST_CASE("unknown keys are reported at the key, with the nearest") {
    CHECK(mistakes_in("shutdwon_grace = \"10s\"\n") ==
          Strings{"t:1:1: unknown key \"shutdwon_grace\"; did you mean \"shutdown_grace\"?"});
    CHECK(mistakes_in("[limits]\n  boddy = \"1\"\n") ==
          Strings{"t:2:3: unknown key \"limits.boddy\"; did you mean \"body\"?"});
    CHECK(mistakes_in("[timeuots]\n") ==
          Strings{"t:1:2: unknown key \"timeuots\"; did you mean \"timeouts\"?"});
    CHECK(mistakes_in("[log.rotation]\n") == Strings{"t:1:6: unknown key \"log.rotation\""});
    CHECK(mistakes_in("log.lvel = \"info\"\n") ==
          Strings{"t:1:5: unknown key \"log.lvel\"; did you mean \"level\"?"});
    CHECK(mistakes_in("log = { access = \"off\", formt = \"json\" }\n") ==
          Strings{"t:1:25: unknown key \"log.formt\"; did you mean \"format\"?"});
}

TEST_CASE("a misspelt key is one mistake, though it is missed under its right name") {
    CHECK(mistakes_in("[[listener]]\nname = \"x\"\nadress = \"127.0.0.1:0\"\n") ==
          Strings{"t:3:1: unknown key \"listener.adress\"; did you mean \"address\"?"});
    CHECK(mistakes_in("[[route]]\npol = \"rest\"\n") ==
          Strings{"t:2:1: unknown key \"route.pol\"; did you mean \"pool\"?"});
    CHECK(mistakes_in("[[pol]]\nname = \"p\"\n[[route]]\npath = \"/p/\"\npool = \"p\"\n").size() == 2);
}

TEST_CASE("a key of the file below a table is told where it belongs") {
    CHECK(mistakes_in("[log]\nworkers = 2\n") ==
          Strings{
              "t:2:1: unknown key \"log.workers\"; \"workers\" belongs above the first [table] of the file"});
}

TEST_CASE("a limit of memory is a word or a size") {
    using Kind = MemoryLimit::Kind;
    const auto limit = [](const std::string& value) {
        return config_of("[limits]\nmemory = \"" + value + "\"\n").limits.memory;
    };
    CHECK(config_of("").limits.memory.kind == Kind::automatic);
    CHECK(limit("auto").kind == Kind::automatic);
    CHECK(limit("off").kind == Kind::off);
    CHECK(limit("512MiB") == MemoryLimit{.kind = Kind::size, .bytes = std::uint64_t{512} << 20});
    const std::string must =
        "t:2:10: \"limits.memory\" must be \"auto\", \"off\" or a size of \"16MiB\" or more";
    for (const char* value : {"lots", "", "10MiB", "0", "9999999TiB"})
        CHECK(mistakes_in(std::string("[limits]\nmemory = \"") + value + "\"\n") ==
              Strings{must + ", not \"" + value + "\""});
    CHECK(mistakes_in("[limits]\nmemory = 64\n") == Strings{must});
}

TEST_CASE("trusted proxies may follow the limits") {
    CHECK(
        config_of("[limits]\nheaders = 64\n\ntrusted_proxies = [\"10.0.0.0/8\"]\n").trusted_proxies.size() ==
        1);
    CHECK(mistakes_in("trusted_proxies = []\n[limits]\ntrusted_proxies = [\"10.0.0.0/8\"]\n") ==
          Strings{"t:3:1: \"trusted_proxies\" is set twice; the first time at t:1:1"});
    CHECK(mistakes_in("trusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/33\", \"proxy\"]\n") ==
          Strings{
              "t:1:34: \"10.0.0.0/33\" is not an address or a network such as \"10.0.0.0/8\" or \"fd00::/8\"",
              "t:1:49: \"proxy\" is not an address or a network such as \"10.0.0.0/8\" or \"fd00::/8\""});
}

TEST_CASE("wrong types say what was expected") {
    CHECK(mistakes_in("workers = 2.5\n") ==
          Strings{"t:1:11: \"workers\" must be a whole number, not a decimal fraction"});
    CHECK(mistakes_in("node = 1\n") == Strings{"t:1:8: \"node\" must be a string, not a number"});
    CHECK(
        mistakes_in("shutdown_grace = 30\n") ==
        Strings{
            "t:1:18: \"shutdown_grace\" must be a duration, which is a string such as \"2s\", not a number"});
    CHECK(
        mistakes_in("[limits]\nbody = 1024\n") ==
        Strings{"t:2:8: \"limits.body\" must be a size, which is a string such as \"64KiB\", not a number"});
    CHECK(mistakes_in("log = \"info\"\n") == Strings{"t:1:7: \"log\" must be a table, not a string"});
    CHECK(mistakes_in("[[log]]\n") == Strings{"t:1:3: \"log\" is one table, not a list: write [log]"});
    CHECK(mistakes_in("trusted_proxies = true\n") ==
          Strings{"t:1:19: \"trusted_proxies\" must be a string or a list of strings, not true or false"});
    CHECK(mistakes_in("trusted_proxies = [1]\n") ==
          Strings{"t:1:20: \"trusted_proxies\" must hold strings, not a number"});
    CHECK(mistakes_in("node = 2024-01-01\n") ==
          Strings{"t:1:8: \"node\" must be a string, not a date or time"});
}

TEST_CASE("numbers, durations and sizes have ranges") {
    CHECK(mistakes_in("workers = 257\n") == Strings{"t:1:11: \"workers\" must be from 0 to 256, not 257"});
    CHECK(mistakes_in("workers = -1\n") == Strings{"t:1:11: \"workers\" must be from 0 to 256, not -1"});
    CHECK(mistakes_in("workers = 99999999999999999999\n").size() == 1);
    CHECK(mistakes_in("[timeouts]\nconnect = \"0s\"\n") ==
          Strings{"t:2:11: \"timeouts.connect\" must be from \"1ms\" to \"7d\", not \"0s\""});
    CHECK(mistakes_in("shutdown_grace = \"169h\"\n") ==
          Strings{"t:1:18: \"shutdown_grace\" must be from \"0s\" to \"7d\", not \"169h\""});
    CHECK(mistakes_in("[limits]\nstreams = 0\n") ==
          Strings{"t:2:11: \"limits.streams\" must be from 1 to 1000, not 0"});
    CHECK(mistakes_in("[limits]\nstreams = 1001\n") ==
          Strings{"t:2:11: \"limits.streams\" must be from 1 to 1000, not 1001"});
    CHECK(mistakes_in("[limits]\nheader_size = \"512\"\nheaders = 7\n") ==
          Strings{"t:2:15: \"limits.header_size\" must be from \"1KiB\" to \"1MiB\", not \"512\"",
                  "t:3:11: \"limits.headers\" must be from 8 to 1024, not 7"});
    CHECK(mistakes_in("[limits]\nheader_size = \"64KB\"\n") ==
          Strings{"t:2:15: \"limits.header_size\" must be a size such as \"64KiB\", \"1GiB\" or \"0\", not "
                  "\"64KB\"; "
                  "did you mean \"64KiB\"?"});
}

TEST_CASE("choices list what there is") {
    CHECK(
        mistakes_in("[log]\nlevel = \"warn\"\n") ==
        Strings{"t:2:9: \"log.level\" must be \"debug\", \"info\", \"warning\" or \"error\", not \"warn\""});
    CHECK(
        mistakes_in("[log]\nformat = \"jsn\"\n") ==
        Strings{
            "t:2:10: \"log.format\" must be \"json\" or \"combined\", not \"jsn\"; did you mean \"json\"?"});
    CHECK(mistakes_in("[log]\naccess = \"of\"\n") ==
          Strings{"t:2:10: \"log.access\" must be \"stdout\", \"stderr\", \"off\" or a file's path with a "
                  "\"/\", not "
                  "\"of\""});
}

TEST_CASE("addresses and paths of palier's own are checked") {
    CHECK(config_of("admin = \"\"\n").admin.empty());
    CHECK(mistakes_in("admin = \":9901\"\n").size() == 1);
    CHECK(config_of("control_socket = \"\"\n").control_socket.empty());
    CHECK(mistakes_in("control_socket = \"/run/palier/\"\n") ==
          Strings{
              "t:1:18: \"control_socket\" must be a socket's path, not that of a folder, \"/run/palier/\""});
    CHECK(mistakes_in("control_socket = \"/" + std::string(107, 'x') + "\"\n") ==
          Strings{"t:1:18: \"control_socket\" must be a path of at most 107 bytes"});
    const auto loaded =
        load_text("control_socket = \"c.sock\"\n[log]\naccess = \"./a.log\"\n" + kRest, "t", "/etc/palier");
    REQUIRE(loaded);
    CHECK(loaded->control_socket == "/etc/palier/c.sock");
    CHECK(loaded->log.access == "/etc/palier/./a.log");
}

TEST_CASE("the state file is a path, or none") {
    CHECK(config_of("").state_file == "/var/lib/palier/state.json");
    CHECK(config_of("state_file = \"\"\n").state_file.empty());
    const auto loaded = load_text("state_file = \"state.json\"\n" + kRest, "t", "/etc/palier");
    REQUIRE(loaded);
    CHECK(loaded->state_file == "/etc/palier/state.json");
    CHECK(mistakes_in("state_file = \"/var/lib/\"\n") ==
          Strings{"t:1:14: \"state_file\" must be a file's path, not that of a folder, \"/var/lib/\""});
    CHECK(mistakes_in("state_file = \"/run/p\"\ncontrol_socket = \"/run/p\"\n") ==
          Strings{"t:1:14: \"state_file\" and \"control_socket\" cannot have the same path"});
    CHECK(config_of("state_file = \"\"\ncontrol_socket = \"\"\n").state_file.empty());
    CHECK(mistakes_in("state_file = true\n") ==
          Strings{"t:1:14: \"state_file\" must be a string, not true or false"});
}

TEST_CASE("whose the control socket is: names and numbers of users and groups") {
    CHECK_FALSE(config_of("control_owner = \"\"\ncontrol_group = \"\"\n").control_owner);
    const Config named = config_of("control_owner = \"root\"\ncontrol_group = \"root\"\n");
    CHECK(named.control_owner == 0);
    CHECK(named.control_group == 0);
    const Config numbered = config_of("control_owner = \"4294967294\"\ncontrol_group = \"33\"\n");
    CHECK(numbered.control_owner == 4'294'967'294U);
    CHECK(numbered.control_group == 33);
    CHECK(mistakes_in("control_owner = \"no-such-user\"\ncontrol_group = \"no-such-group\"\n") ==
          Strings{"t:1:17: there is no user \"no-such-user\" on this machine",
                  "t:2:17: there is no group \"no-such-group\" on this machine"});
    // The last number stands for "unchanged" where the system takes one.
    CHECK(mistakes_in("control_owner = \"4294967295\"\ncontrol_group = \"99999999999\"\n") ==
          Strings{"t:1:17: \"4294967295\" is no user's number",
                  "t:2:17: \"99999999999\" is no group's number"});
    CHECK(mistakes_in("control_owner = 0\n") ==
          Strings{"t:1:17: \"control_owner\" must be a string, not a number"});
}

TEST_CASE("how long tunnels stay with a palier that was upgraded away") {
    CHECK(config_of("").tunnel_grace == Duration(300'000));
    CHECK(config_of("tunnel_grace = \"0s\"\n").tunnel_grace == Duration(0));
    CHECK(mistakes_in("tunnel_grace = \"8d\"\n") ==
          Strings{"t:1:16: \"tunnel_grace\" must be from \"0s\" to \"7d\", not \"8d\""});
}

TEST_CASE("the new keys of the file below a table are told where they belong") {
    for (const char* key : {"state_file", "control_owner", "control_group", "tunnel_grace"}) {
        INFO(key);
        CHECK(mistakes_in("[log]\n" + std::string(key) + " = \"1\"\n") ==
              Strings{"t:2:1: unknown key \"log." + std::string(key) + "\"; \"" + key +
                      "\" belongs above the first [table] of the file"});
    }
}

}  // namespace
}  // namespace palier::config
