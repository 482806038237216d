#include "palier/control/snapshot_builder.h"

#include "catch.h"

namespace palier::control {
namespace {

config::PoolConfig pool_of(const std::string& name) {
    config::PoolConfig pool;
    pool.name = name;
    config::ServerConfig& server = pool.servers.emplace_back();
    server.name = "a";
    server.host = "127.0.0.1";
    server.port = 80;
    return pool;
}

config::RouteConfig route_to(std::string path, std::vector<std::size_t> listeners) {
    config::RouteConfig route;
    route.path = std::move(path);
    route.listeners = std::move(listeners);
    route.action = config::ForwardAction{0};
    return route;
}

/// Two listeners, pools web and office, a route of the second listener alone and one of both.
config::Config reference() {
    config::Config config;
    config.listeners.resize(2);
    config.pools = {pool_of("web"), pool_of("office")};
    config.routes = {route_to("/", {}), route_to("/private", {1})};
    return config;
}

std::shared_ptr<const config::Config> shared(config::Config config) {
    return std::make_shared<const config::Config>(std::move(config));
}

TEST_CASE("a configuration that says the same shares every pool, one that does not those that stayed") {
    SnapshotBuilder builder(1);
    const auto first = builder.build(shared(reference()), {});
    const auto same = builder.build(shared(reference()), {});
    CHECK(same->pools == first->pools);
    CHECK(same->generation == first->generation + 1);

    config::Config changed = reference();
    changed.pools[0].retries = 9;
    std::swap(changed.pools[0], changed.pools[1]);
    const auto next = builder.build(shared(changed), {});
    CHECK(next->pools[0] == first->pools[1]);
    CHECK(next->pools[1] != first->pools[0]);
    CHECK(next->pools[1]->servers[0].state == first->pools[0]->servers[0].state);
}

TEST_CASE("decisions change the pools that they name") {
    SnapshotBuilder builder(1);
    const auto config = shared(reference());
    const auto first = builder.build(config, {});
    pool::Decisions decisions;
    decisions["office"].servers["a"].admin = pool::Admin::drained;
    const auto next = builder.build(config, {}, decisions);
    CHECK(next->pools[0] == first->pools[0]);
    CHECK(next->pools[1]->servers[0].admin == pool::Admin::drained);
    CHECK(next->routers == first->routers);
    CHECK(builder.build(config, {}, decisions)->pools == next->pools);
    CHECK(builder.build(config, {})->pools[1]->servers[0].admin == pool::Admin::enabled);
}

TEST_CASE("a listener that left has the routes that name none") {
    SnapshotBuilder builder(1);
    const auto snapshot = builder.build(shared(reference()), {});
    const config::RouteConfig* general = &snapshot->config->routes[0];
    CHECK(snapshot->router(1).find("any", "/private") == &snapshot->config->routes[1]);
    CHECK(snapshot->router(0).find("any", "/private") == general);
    CHECK(snapshot->router(proxy::kNoListener).find("any", "/private") == general);
}

TEST_CASE("what was replaced dies here, once nobody uses it") {
    SnapshotBuilder builder(1);
    auto pinned = builder.build(shared(reference()), {});
    const std::weak_ptr<const proxy::Snapshot> first = pinned;
    auto pool = pinned->pools[0];
    const std::weak_ptr<const pool::PoolSnapshot> of_first = pool;
    config::Config changed = reference();
    changed.pools[0].retries = 9;
    static_cast<void>(builder.build(shared(changed), {}));
    pinned.reset();
    CHECK_FALSE(first.expired());
    builder.forget_retired();
    CHECK(first.expired());
    CHECK_FALSE(of_first.expired());
    pool.reset();
    CHECK_FALSE(of_first.expired());
    builder.forget_retired();
    CHECK(of_first.expired());
    CHECK(builder.retired() == 0);
}

TEST_CASE("a thousand configurations leave one behind") {
    SnapshotBuilder builder(1);
    for (unsigned i = 0; i < 1000; ++i) {
        config::Config config = reference();
        config.pools[0].name = "web" + std::to_string(i);
        config.pools[1].servers[0].port = static_cast<std::uint16_t>(1 + i);
        static_cast<void>(builder.build(shared(std::move(config)), {}));
    }
    builder.forget_retired();
    CHECK(builder.retired() == 0);
    CHECK(builder.states() == 4);
}

}  // namespace
}  // namespace palier::control
