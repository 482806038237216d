#include "palier/control/readiness.h"

#include "catch.h"

namespace palier::control {
namespace {

using Obstacles = std::vector<std::string>;

constexpr std::uint64_t kNow = 1'000'000;

config::PoolConfig pool_of(const std::string& name, std::vector<config::ServerConfig> servers) {
    config::PoolConfig pool;
    pool.name = name;
    pool.servers = std::move(servers);
    return pool;
}

config::ServerConfig server(const std::string& name, const std::string& host = "127.0.0.1") {
    config::ServerConfig server;
    server.name = name;
    server.host = host;
    server.port = 80;
    return server;
}

struct Ready {
    explicit Ready(std::vector<std::size_t> ready_when) {
        config->ready_when = std::move(ready_when);
        config->pools = {pool_of("web", {server("a"), server("b")}), pool_of("office", {server("c")}),
                         pool_of("far", {server("d", "far.example")})};
        build();
    }
    void build(const pool::Addresses& addresses = {}) { snapshot = builder.build(config, addresses); }
    [[nodiscard]] pool::ServerState& state(std::size_t pool, std::size_t server) const {
        return *snapshot->pools[pool]->servers[server].state;
    }
    [[nodiscard]] Obstacles obstacles() const { return readiness.obstacles(kNow); }

    std::shared_ptr<config::Config> config = std::make_shared<config::Config>();
    SnapshotBuilder builder{1};
    std::shared_ptr<const proxy::Snapshot> snapshot;
    Readiness readiness{builder};
};

TEST_CASE("until it serves it is starting, even before there is a snapshot") {
    SnapshotBuilder builder{1};
    const Readiness readiness(builder);
    CHECK(readiness.obstacles(kNow) == Obstacles{"starting"});
}

TEST_CASE("once it serves it is ready, until it stops") {
    Ready ready({});
    CHECK(ready.obstacles() == Obstacles{"starting"});
    ready.readiness.serves();
    CHECK(ready.obstacles().empty());
    ready.readiness.stops();
    CHECK(ready.obstacles() == Obstacles{"stopping"});
}

TEST_CASE("while it is drained it is not ready, whatever its pools say") {
    Ready ready({0});
    ready.readiness.drains(true);
    CHECK(ready.obstacles() == Obstacles{"starting"});
    ready.readiness.serves();
    CHECK(ready.obstacles() == Obstacles{"draining"});
    ready.state(0, 0).held_down = true;
    ready.state(0, 1).held_down = true;
    CHECK(ready.obstacles() == Obstacles{"draining"});
    ready.readiness.drains(false);
    CHECK(ready.obstacles() == Obstacles{"pool web has no usable server"});
    ready.readiness.drains(true);
    ready.readiness.stops();
    CHECK(ready.obstacles() == Obstacles{"stopping"});
}

TEST_CASE("a stop that came before it served stays a stop") {
    Ready ready({});
    ready.readiness.stops();
    ready.readiness.serves();
    CHECK(ready.obstacles() == Obstacles{"stopping"});
}

TEST_CASE("a pool that is asked for needs one usable server, others do not matter") {
    Ready ready({0});
    ready.readiness.serves();
    ready.state(1, 0).held_down = true;
    CHECK(ready.obstacles().empty());
    ready.state(0, 0).held_down = true;
    CHECK(ready.obstacles().empty());
    ready.state(0, 1).ejected_until_ms = kNow + 1;
    CHECK(ready.obstacles() == Obstacles{"pool web has no usable server"});
    ready.state(0, 0).held_down = false;
    CHECK(ready.obstacles().empty());
}

TEST_CASE("each pool without a usable server is named") {
    Ready ready({1, 0});
    ready.readiness.serves();
    for (const std::size_t server : {0U, 1U})
        ready.state(0, server).held_down = true;
    ready.state(1, 0).held_down = true;
    CHECK(ready.obstacles() ==
          Obstacles{"pool office has no usable server", "pool web has no usable server"});
}

TEST_CASE("a server whose name has no address is not usable, and is once it has one") {
    Ready ready({2});
    ready.readiness.serves();
    CHECK(ready.obstacles() == Obstacles{"pool far has no usable server"});
    ready.build({{"far.example", {*base::IpAddress::parse("192.0.2.1")}}});
    CHECK(ready.obstacles().empty());
}

TEST_CASE("a server of weight 0 is not usable") {
    Ready ready({1});
    ready.config = std::make_shared<config::Config>(*ready.config);
    ready.config->pools[1].servers[0].weight = 0;
    ready.build();
    ready.readiness.serves();
    CHECK(ready.obstacles() == Obstacles{"pool office has no usable server"});
}

}  // namespace
}  // namespace palier::control
