#include "config/load_fixture.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::config {
namespace {

TEST_CASE("five different mistakes are reported in one run") {
    CHECK(mistakes_in_all(R"(shutdwon_grace = "10s"

[timeouts]
connect = "3 parsecs"

[[listener]]
name    = "http"
address = "127.0.0.1:8080"

[[pool]]
name    = "web"
retries = "two"
  [[pool.server]]
  name    = "front1"
  address = "127.0.0.1:8081"
  [[pool.server]]
  name    = "front1"
  address = "127.0.0.1:8082"

[[route]]
pool = "wbe"
)") == Strings{"t:1:1: unknown key \"shutdwon_grace\"; did you mean \"shutdown_grace\"?",
               "t:4:11: \"timeouts.connect\" must be a duration such as \"250ms\", \"2s\", \"5m\" or \"1h\", "
               "not \"3 "
               "parsecs\"",
               "t:12:11: \"pool.retries\" must be a whole number, not a string",
               "t:17:13: there are two servers \"front1\"; the first is at t:14:13",
               "t:21:8: there is no pool \"wbe\"; did you mean \"web\"?"});
}

TEST_CASE("an empty file says what is missing") {
    const Strings expected{
        "t:1:1: there is no listener, so nobody could connect; add for example\n"
        "    [[listener]]\n    name    = \"http\"\n    address = [\"0.0.0.0:80\", \"[::]:80\"]",
        "t:1:1: there is no route, so no request would reach a pool; add for example\n"
        "    [[route]]\n    path = \"/\"\n    pool = \"web\""};
    CHECK(mistakes_in_all("") == expected);
    CHECK(mistakes_in_all("\n# nothing\n") == expected);
}

TEST_CASE("without a route the lines to add name the pool that there is") {
    const Strings found = mistakes_in_all(
        "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n[[pool]]\nname = \"shop\"\n[[pool.server]]\n"
        "name = \"s\"\naddress = \"s:1\"\n");
    REQUIRE(found.size() == 1);
    CHECK(found[0].ends_with("    [[route]]\n    path = \"/\"\n    pool = \"shop\""));
}

TEST_CASE("line endings and byte order marks do not move places") {
    CHECK(mistakes_in("\xef\xbb\xbfnoode = \"a\"\r\nworkers = 300\r\n") ==
          Strings{"t:1:1: unknown key \"noode\"; did you mean \"node\"?",
                  "t:2:11: \"workers\" must be from 0 to 256, not 300"});
}

TEST_CASE("mistakes without a place name their file alone") {
    CHECK(Mistake{"a.toml", 0, 0, "is gone"}.to_string() == "a.toml: is gone");
    CHECK(Mistake{"a.toml", 3, 7, "is odd"}.to_string() == "a.toml:3:7: is odd");
}

/// conf/ as it would be used: with the files that the examples name beside them.
class Examples : public Folder {
  public:
    Examples() {
        std::filesystem::copy(PALIER_SOURCE_DIR "/conf", path(), std::filesystem::copy_options::recursive);
        for (const char* name : {"certs/www.example.com.pem", "clients-ca.pem", "backends-ca.pem"}) {
            write(name, "");
        }
    }
};

TEST_CASE("every example loads") {
    const Examples examples;
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(examples.path())) {
        if (entry.path().extension() != ".toml") continue;
        const auto loaded = load_file(entry.path().string());
        CHECK(to_strings(loaded) == Strings{});
        ++files;
    }
    CHECK(files >= 10);
}

TEST_CASE("the reference says the defaults") {
    const Examples examples;
    const auto reference = load_file(examples.path("palier.toml"));
    REQUIRE(reference);
    const Config defaults;
    CHECK(reference->node == defaults.node);
    CHECK(reference->workers == defaults.workers);
    CHECK(reference->control_socket == defaults.control_socket);
    CHECK(reference->control_owner == defaults.control_owner);
    CHECK(reference->control_group == defaults.control_group);
    CHECK(reference->state_file == defaults.state_file);
    CHECK(reference->tunnel_grace == defaults.tunnel_grace);
    CHECK(reference->admin == defaults.admin);
    CHECK(reference->ready_when == defaults.ready_when);
    CHECK(reference->shutdown_grace == defaults.shutdown_grace);
    CHECK(reference->trusted_proxies == defaults.trusted_proxies);
    CHECK(reference->log.level == defaults.log.level);
    CHECK(reference->log.access == defaults.log.access);
    CHECK(reference->log.format == defaults.log.format);
    CHECK(reference->timeouts == defaults.timeouts);
    CHECK(reference->limits == defaults.limits);
    CHECK(reference->listeners[0].proxy_protocol == ListenerConfig().proxy_protocol);
    CHECK(reference->listeners[0].http2 == ListenerConfig().http2);
    const PoolConfig& pool = reference->pools.at(0);
    const PoolConfig fresh;
    CHECK(pool.balance == fresh.balance);
    CHECK(pool.prefer_local == fresh.prefer_local);
    CHECK(pool.failback == fresh.failback);
    CHECK(pool.retries == fresh.retries);
    CHECK(pool.retry_on == fresh.retry_on);
    CHECK(pool.min_usable == fresh.min_usable);
    CHECK(pool.when_none == fresh.when_none);
    CHECK(pool.on_down == fresh.on_down);
    CHECK(pool.health == HealthConfig());
    CHECK(pool.outlier == fresh.outlier);
    CHECK(pool.maintenance.retry_after == fresh.maintenance.retry_after);
    const ServerConfig& server = pool.servers.at(0);
    CHECK(server.weight == ServerConfig().weight);
    CHECK(server.role == ServerConfig().role);
    CHECK(server.node == ServerConfig().node);
    CHECK(server.max_connections == ServerConfig().max_connections);
    CHECK(server.slow_start == ServerConfig().slow_start);
    CHECK(server.slow_start_at_start == ServerConfig().slow_start_at_start);
    CHECK(server.tls == ServerConfig().tls);
    HealthConfig mysql;
    mysql.type = ProbeType::mysql;
    CHECK(reference->pools.at(1).health == mysql);
}

TEST_CASE("the reference of TLS says the defaults") {
    const Examples examples;
    const auto reference = load_file(examples.path("tls.toml"));
    REQUIRE(reference);
    ListenerTlsConfig tls;
    tls.certificates = {examples.path("certs")};
    CHECK(reference->listeners[0].tls == tls);
    CHECK(reference->listeners[0].hsts.empty());
    CHECK(reference->pools[0].servers[0].tls == BackendTlsConfig());
    CHECK_FALSE(reference->pools[0].servers[1].tls);
}

TEST_CASE("ten thousand routes and a thousand servers load") {
    std::string text = kRest;
    for (int i = 0; i < 1'000; ++i) {
        text += fmt::format("[[pool.server]]\nname = \"s{0}\"\naddress = \"10.0.{1}.{2}:80\"\n", i, i / 250,
                            i % 250 + 1);
    }
    for (int i = 0; i < 10'000; ++i) {
        text += fmt::format(
            "[[route]]\nhost = [\"site{0}.example\", \"*.site{0}.example\"]\npool = \"rest\"\n", i);
    }
    const auto loaded = load_text(text, "t", "");
    REQUIRE(loaded);
    CHECK(loaded->routes.size() == 10'001);
    CHECK(loaded->pools[0].servers.size() == 1'001);
}

}  // namespace
}  // namespace palier::config
