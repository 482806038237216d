#include "palier/pool/pool_snapshot.h"

#include "catch.h"
#include "pool_fixture.h"

using namespace palier::pool;
using namespace palier::test;
using palier::base::IpAddress;
using palier::base::SocketAddress;
using palier::config::Role;

namespace {

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

}  // namespace

TEST_CASE("a server with an address has everything that was configured") {
    auto config = pool_of({{.name = "a",
                            .weight = 7,
                            .role = Role::passive,
                            .local = true,
                            .max_connections = 9,
                            .slow_start_ms = 1'500,
                            .port = 8080}});
    StateTable states(2);
    const auto snapshot = make_pool_snapshot(config, {}, states);
    REQUIRE(snapshot->servers.size() == 1);
    const Server& server = snapshot->servers[0];
    CHECK(server.name == "a");
    CHECK(server.address == SocketAddress(ip("127.0.0.1"), 8080));
    CHECK(server.address_text == "127.0.0.1:8080");
    CHECK(server.weight == 7);
    CHECK(server.role == Role::passive);
    CHECK(server.local);
    CHECK(server.max_connections == 9);
    CHECK(server.slow_start_ms == 1'500);
    CHECK(server.state->name == "web/a");
    CHECK(server.state->server == "a");
    CHECK(snapshot->state->name == "web");
}

TEST_CASE("a host name is one server for each of its addresses, and none without") {
    auto config =
        pool_of({{.name = "named", .port = 80}, {.name = "lost", .port = 80}, {.name = "fixed", .port = 81}});
    config.servers[0].host = "fronts.example";
    config.servers[1].host = "nowhere.example";
    StateTable states(1);
    const Addresses addresses{{"fronts.example", {ip("10.0.0.1"), ip("2001:db8::1")}},
                              {"nowhere.example", {}}};
    const auto snapshot = make_pool_snapshot(config, addresses, states);
    REQUIRE(snapshot->servers.size() == 3);
    CHECK(snapshot->servers[0].state->name == "web/named@10.0.0.1:80");
    CHECK(snapshot->servers[1].state->name == "web/named@[2001:db8::1]:80");
    CHECK(snapshot->servers[0].state != snapshot->servers[1].state);
    CHECK(snapshot->servers[0].name == "named");
    CHECK(snapshot->servers[1].state->server == "named");
    CHECK(snapshot->servers[2].state->name == "web/fixed");
}

TEST_CASE("states outlive snapshots: by pool, server, and the address of a name") {
    auto config = pool_of({{.name = "a"}, {.name = "named"}});
    config.servers[1].host = "fronts.example";
    StateTable states(1);
    const auto first = make_pool_snapshot(config, {{"fronts.example", {ip("10.0.0.1")}}}, states);
    config.servers[0].weight = 1;
    const auto second =
        make_pool_snapshot(config, {{"fronts.example", {ip("10.0.0.2"), ip("10.0.0.1")}}}, states);
    REQUIRE(second->servers.size() == 3);
    CHECK(second->state == first->state);
    CHECK(second->servers[0].state == first->servers[0].state);
    CHECK(second->servers[2].state == first->servers[1].state);
    CHECK(second->servers[1].state != first->servers[1].state);

    config.name = "other";
    const auto other = make_pool_snapshot(config, {}, states);
    CHECK(other->state != first->state);
    CHECK(other->servers[0].state != first->servers[0].state);
}

TEST_CASE("a server at another address is another server, and its state begins afresh") {
    auto config = pool_of({{.name = "a"}});
    StateTable states(1);
    const auto first = make_pool_snapshot(config, {}, states);
    config.servers[0].host = "127.0.0.2";
    const auto moved = make_pool_snapshot(config, {}, states, nullptr, first);
    CHECK(moved->servers[0].state != first->servers[0].state);
    CHECK(moved->servers[0].state->name == "web/a");
    config.servers[0].port = 9;
    const auto other_port = make_pool_snapshot(config, {}, states, nullptr, moved);
    CHECK(other_port->servers[0].state != moved->servers[0].state);
    config.servers[0].host = "127.0.0.1";
    config.servers[0].port = 1;
    const auto back = make_pool_snapshot(config, {}, states, nullptr, other_port);
    CHECK(back->servers[0].state == first->servers[0].state);
}

TEST_CASE("states that no snapshot holds are forgotten, those of pools too") {
    StateTable states(1);
    auto config = pool_of({{.name = "a"}});
    auto kept = make_pool_snapshot(config, {}, states);
    for (int i = 0; i < 100; ++i) {
        config.name = "pool" + std::to_string(i);
        static_cast<void>(make_pool_snapshot(config, {}, states));
    }
    states.forget_unused();
    CHECK(states.size() == 2);
    kept.reset();
    states.forget_unused();
    CHECK(states.size() == 0);
}

TEST_CASE("TLS that was prepared for a configuration which never came does not disturb the one in force") {
    auto config = pool_of({{.name = "a"}});
    config.servers[0].tls = palier::config::BackendTlsConfig{.verify = false, .ca = "", .server_name = "one"};
    palier::config::Config in_force;
    in_force.pools = {config};
    StateTable states(1);
    REQUIRE(states.prepare_tls(in_force));
    states.adopt_tls();
    const auto context = make_pool_snapshot(config, {}, states)->servers[0].tls;
    REQUIRE(context);

    palier::config::Config other = in_force;
    other.pools[0].servers[0].tls->server_name = "two";
    REQUIRE(states.prepare_tls(other));
    CHECK(make_pool_snapshot(config, {}, states)->servers[0].tls == context);
    REQUIRE(states.prepare_tls(in_force));
    states.adopt_tls();
    CHECK(make_pool_snapshot(config, {}, states)->servers[0].tls == context);
}

TEST_CASE("what workers count is summed for whoever reads") {
    ServerState state("web/a", "a", 3);
    CHECK(state.in_flight() == 0);
    for (unsigned worker = 0; worker < 3; ++worker) {
        WorkerCounters::add<std::uint32_t>(state.counters[worker].in_flight, worker + 1);
    }
    CHECK(state.in_flight() == 6);
    WorkerCounters::add<std::uint32_t>(state.counters[2].in_flight, static_cast<std::uint32_t>(-1));
    CHECK(state.in_flight() == 5);
}
