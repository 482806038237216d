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

HealthConfig health_of(const std::string& keys) {
    const Config config = config_of(health(keys));
    REQUIRE(config.pools[0].health);
    return *config.pools[0].health;
}

TEST_CASE("the request of a probe is read") {
    const HealthConfig probe = health_of(
        "method = \"HEAD\"\npath = \"/up?full=1\"\nhost = \"www.example.com:8080\"\n"
        "headers = { X-Probe = \"1\", \"X-Token\" = \"a b\\tc: \\u00e9\", X-Empty = \"\" }\n"
        "expect = [\"200-299\", 304]\nkeep_alive = true\n");
    CHECK(probe.method == "HEAD");
    CHECK(probe.path == "/up?full=1");
    CHECK(probe.host == "www.example.com:8080");
    CHECK(probe.headers ==
          std::vector<ProbeField>{{"X-Probe", "1"}, {"X-Token", "a b\tc: \xc3\xa9"}, {"X-Empty", ""}});
    CHECK(probe.expect == std::vector<StatusRange>{{200, 299}, {304, 304}});
    CHECK(probe.keep_alive);
    CHECK(health_of("expect_body = \"all is well\"\n").expect_body == "all is well");
    CHECK(health_of("headers.X-Probe = \"1\"\n").headers == std::vector<ProbeField>{{"X-Probe", "1"}});
    CHECK(health_of("[pool.health.headers]\nX-Probe = \"1\"\n").headers ==
          std::vector<ProbeField>{{"X-Probe", "1"}});
}

TEST_CASE("methods of probes") {
    CHECK(health_of("method = \"OPTIONS\"\n").method == "OPTIONS");
    CHECK(health_of("method = \"X-PROBE\"\n").method == "X-PROBE");
    const std::string longest(32, 'A');
    CHECK(health_of("method = \"" + longest + "\"\n").method == longest);
    for (const std::string& method :
         Strings{"", "get", "GET ", "GET /", "CONNECT", "G\xc3\x89T", longest + "A"}) {
        CHECK(mistakes_in(health("method = \"" + method + "\"\n")) ==
              Strings{"t:4:10: \"pool.health.method\" must be a method such as \"GET\" or \"HEAD\", not \"" +
                      method + "\""});
    }
    CHECK(mistakes_in(health("method = \"GET\\r\\nX: y\"\n")).size() == 1);
}

TEST_CASE("paths of probes") {
    CHECK(health_of("path = \"/\"\n").path == "/");
    const std::string longest = "/" + std::string(2047, 'x');
    CHECK(health_of("path = \"" + longest + "\"\n").path == longest);
    const auto mistake = [](const std::string& path) {
        const Strings all = mistakes_in(health("path = \"" + path + "\"\n"));
        return all.size() == 1 ? all.front() : fmt::format("{} mistakes", all.size());
    };
    CHECK(mistake("") == "t:4:8: \"pool.health.path\" must begin with \"/\", not \"\"");
    CHECK(mistake("health") == "t:4:8: \"pool.health.path\" must begin with \"/\", not \"health\"");
    CHECK(mistake("http://a/health") ==
          "t:4:8: \"pool.health.path\" must begin with \"/\", not \"http://a/health\"");
    CHECK(mistake(longest + "x") == "t:4:8: \"pool.health.path\" must not be longer than 2048 bytes");
    CHECK(mistake("/caf\xc3\xa9") ==
          "t:4:8: \"pool.health.path\" must be written as it travels, with %-escapes");
    for (const char* path : {"/a b", "/a#b", "/a\\tb", "/a\\r\\nHost: b", "/\\u0000", "/\\u007f"}) {
        CHECK(mistake(path) ==
              "t:4:8: \"pool.health.path\" must not hold spaces, control characters or \"#\"");
    }
}

TEST_CASE("hosts of probes") {
    for (const char* host : {"", "www.example.com", "www.example.com:80", "10.0.0.1", "10.0.0.1:80", "[::1]",
                             "[::1]:80", "Front_1"}) {
        CHECK(health_of(fmt::format("host = \"{}\"\n", host)).host == host);
    }
    for (const char* host : {"*.example.com", "http://www.example.com", "a b", "a:0", "a:", "::1",
                             "caf\xc3\xa9", "[::1", "a/b"}) {
        CHECK(mistakes_in(health(fmt::format("host = \"{}\"\n", host))) ==
              Strings{fmt::format("t:4:8: \"pool.health.host\" must be a host name such as "
                                  "\"www.example.com\", if need be with a port, not \"{}\"",
                                  host)});
    }
    CHECK(mistakes_in(health("host = \"a\\r\\nX: y\"\n")).size() == 1);
}

TEST_CASE("header fields of probes are checked") {
    CHECK(mistakes_in(health(
              "headers = { \"X Probe\" = \"1\", \"\" = \"1\", \"X:\" = \"\", \"\\r\\n\" = \"\" }\n")) ==
          Strings{"t:4:13: \"X Probe\" is not a header field's name",
                  "t:4:30: \"\" is not a header field's name", "t:4:40: \"X:\" is not a header field's name",
                  "t:4:51: \"\r\n\" is not a header field's name"});
    CHECK(mistakes_in(
              health("headers = { A = \" 1\", B = \"1\\t\", C = \"1\\r\\nD: 2\", E = \"\\u0000\" }\n")) ==
          Strings{"t:4:13: \"pool.health.headers.A\" must not hold control characters, or spaces at its "
                  "beginning or its end",
                  "t:4:23: \"pool.health.headers.B\" must not hold control characters, or spaces at its "
                  "beginning or its end",
                  "t:4:34: \"pool.health.headers.C\" must not hold control characters, or spaces at its "
                  "beginning or its end",
                  "t:4:51: \"pool.health.headers.E\" must not hold control characters, or spaces at its "
                  "beginning or its end"});
    CHECK(mistakes_in(health("headers = { X-Probe = \"1\", x-probe = \"2\", N = 3 }\n")) ==
          Strings{"t:4:28: \"x-probe\" is in \"pool.health.headers\" already",
                  "t:4:47: \"pool.health.headers.N\" must be a string, not a number"});
    CHECK(mistakes_in(health("headers = [\"X-Probe: 1\"]\n")) ==
          Strings{"t:4:11: \"pool.health.headers\" must be a table, not a list"});
    CHECK(mistakes_in(health("headers = { A = \"${PALIER_TEST_UNSET}\" }\n")).size() == 1);
}

TEST_CASE("fields that a probe has of its own are not for the file") {
    CHECK(
        mistakes_in(health("[pool.health.headers]\nHost = \"a\"\nConnection = \"close\"\n"
                           "content-length = \"3\"\nTransfer-Encoding = \"chunked\"\nUpgrade = \"h2c\"\n"
                           "Expect = \"100-continue\"\nKEEP-ALIVE = \"1\"\nTE = \"\"\nTrailer = \"x\"\n")) ==
        Strings{"t:5:1: \"pool.health.headers\" must not hold \"Host\": a probe has its own; \"host\" beside "
                "\"headers\" sets it",
                "t:6:1: \"pool.health.headers\" must not hold \"Connection\": a probe has its own; "
                "\"keep_alive\" beside \"headers\" sets it",
                "t:7:1: \"pool.health.headers\" must not hold \"content-length\": a probe has its own",
                "t:8:1: \"pool.health.headers\" must not hold \"Transfer-Encoding\": a probe has its own",
                "t:9:1: \"pool.health.headers\" must not hold \"Upgrade\": a probe has its own",
                "t:10:1: \"pool.health.headers\" must not hold \"Expect\": a probe has its own",
                "t:11:1: \"pool.health.headers\" must not hold \"KEEP-ALIVE\": a probe has its own; "
                "\"keep_alive\" beside \"headers\" sets it",
                "t:12:1: \"pool.health.headers\" must not hold \"TE\": a probe has its own",
                "t:13:1: \"pool.health.headers\" must not hold \"Trailer\": a probe has its own"});
}

TEST_CASE("all fields of a probe together have a bound") {
    const std::string most(4095, 'x');
    CHECK(health_of("headers = { A = \"" + most + "\" }\n").headers.size() == 1);
    CHECK(mistakes_in(health("headers = { A = \"" + most + "\", B = \"\" }\n")) ==
          Strings{"t:4:1: \"pool.health.headers\" must not hold more than 4096 bytes"});
}

TEST_CASE("what a probe expects is checked") {
    CHECK(mistakes_in(health("expect = []\n")) ==
          Strings{"t:4:10: \"pool.health.expect\" must not be empty"});
    CHECK(mistakes_in(health("expect = [\"2xx\"]\n")) ==
          Strings{"t:4:11: \"pool.health.expect\" must hold statuses from 200 to 599, such as \"204\" or "
                  "\"200-399\", not \"2xx\"; did you mean \"200-299\"?"});
    const std::string longest(65'536, 'x');
    CHECK(health_of("expect_body = \"" + longest + "\"\n").expect_body == longest);
    CHECK(health_of("expect_body = \"\"\nmethod = \"HEAD\"\n").expect_body.empty());
    CHECK(mistakes_in(health("expect_body = \"" + longest + "x\"\n")) ==
          Strings{
              "t:4:15: \"pool.health.expect_body\" must not be longer than 65536 bytes: a probe looks at no "
              "more"});
    CHECK(mistakes_in(health("expect_body = \"x\"\nmethod = \"HEAD\"\n")) ==
          Strings{"t:4:1: \"pool.health.expect_body\" never appears: what answers \"HEAD\" has no body"});
    CHECK(mistakes_in(health("keep_alive = \"yes\"\n")) ==
          Strings{"t:4:14: \"pool.health.keep_alive\" must be true or false, not a string"});
}

}  // namespace
}  // namespace palier::config
