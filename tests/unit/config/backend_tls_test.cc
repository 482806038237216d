#include "config/load_fixture.h"

#include <fmt/format.h>

namespace palier::config {
namespace {

/// A pool with two servers; the pool's own keys begin in line 3.
struct Keys {
    std::string pool = {};
    std::string first = {};
    std::string second = {};
};

Loaded load_pool(const Keys& keys, const std::string& folder = "") {
    return load_text(
        fmt::format("[[pool]]\nname = \"p\"\n{}[[pool.server]]\nname = \"a\"\naddress = \"a:1\"\n"
                    "{}[[pool.server]]\nname = \"b\"\naddress = \"b:1\"\n{}{}",
                    keys.pool, keys.first, keys.second, kRest),
        "t", folder);
}

std::vector<ServerConfig> servers_of(const Keys& keys, const std::string& folder = "") {
    const auto loaded = load_pool(keys, folder);
    CHECK(to_strings(loaded) == Strings{});
    REQUIRE(loaded);
    return loaded->pools[0].servers;
}

TEST_CASE("servers are spoken to in plain unless told otherwise") {
    CHECK_FALSE(servers_of({})[0].tls);
    CHECK_FALSE(servers_of({.pool = "tls = false\n"})[0].tls);
}

TEST_CASE("a pool's TLS is its servers'") {
    const Folder folder;
    folder.write("ca.pem", "x");
    const auto servers = servers_of(
        {.pool = "tls = true\nverify = false\nca = \"ca.pem\"\nserver_name = \"Front.internal\"\n"},
        folder.path());
    const BackendTlsConfig expected{
        .verify = false, .ca = folder.path("ca.pem"), .server_name = "front.internal"};
    CHECK(servers[0].tls == expected);
    CHECK(servers[1].tls == expected);
    CHECK(servers_of({.pool = "tls = true\n"})[0].tls == BackendTlsConfig());
}

TEST_CASE("a server's own keys win over its pool's, one by one") {
    const auto servers = servers_of({.pool = "tls = true\nserver_name = \"front.internal\"\n",
                                     .first = "server_name = \"\"\nverify = false\n",
                                     .second = "tls = false\n"});
    CHECK(servers[0].tls == BackendTlsConfig{.verify = false, .ca = "", .server_name = ""});
    CHECK_FALSE(servers[1].tls);
}

TEST_CASE("a pool may prepare the TLS of some of its servers") {
    const auto servers = servers_of({.pool = "server_name = \"10.0.0.1\"\n", .first = "tls = true\n"});
    CHECK(servers[0].tls == BackendTlsConfig{.verify = true, .ca = "", .server_name = "10.0.0.1"});
    CHECK_FALSE(servers[1].tls);
}

TEST_CASE("keys of TLS where nobody speaks it are mistakes") {
    CHECK(to_strings(load_pool({.pool = "verify = false\nserver_name = \"x\"\n"})) ==
          Strings{"t:3:1: \"pool.verify\" means nothing without tls = true",
                  "t:4:1: \"pool.server_name\" means nothing without tls = true"});
    CHECK(to_strings(load_pool({.first = "verify = true\n"})) ==
          Strings{"t:6:1: \"pool.server.verify\" means nothing without tls = true"});
    CHECK(to_strings(load_pool({.pool = "tls = true\n", .second = "tls = false\nserver_name = \"x\"\n"})) ==
          Strings{"t:11:1: \"pool.server.server_name\" means nothing without tls = true"});
}

TEST_CASE("one slip with a server's TLS is one mistake") {
    CHECK(to_strings(load_pool({.pool = "tsl = true\nverify = false\n"})) ==
          Strings{"t:3:1: unknown key \"pool.tsl\"; did you mean \"tls\"?"});
    CHECK(to_strings(load_pool({.pool = "tls = \"true\"\nverify = false\n"})) ==
          Strings{"t:3:7: \"pool.tls\" must be true or false, not a string"});
}

TEST_CASE("values of a server's TLS are checked") {
    const Folder folder;
    CHECK(
        to_strings(load_pool({.pool = "tls = true\nca = \"ca.pem\"\nserver_name = \"*.internal\"\n"},
                             folder.path())) ==
        Strings{fmt::format("t:4:6: \"{}\" cannot be used: No such file or directory", folder.path("ca.pem")),
                "t:5:15: \"*.internal\" is not a host name such as \"www.example.com\", without a port"});
}

}  // namespace
}  // namespace palier::config
