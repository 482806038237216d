#include "palier/health/monitor.h"

#include "../pool/pool_fixture.h"
#include "captured_descriptor.h"
#include "catch.h"
#include "probe_fixture.h"

#include <optional>

#include <sys/resource.h>

using namespace palier;
using namespace palier::health;
using namespace palier::test;
using config::Duration;
using config::ProbeType;
using pool::Health;

namespace {

/// HTTP answers as `well` says, from a server that a test makes ill.
struct Front {
    explicit Front(net::Loop& loop)
        : server(loop, [this](Peer& peer) {
              asked_ms.push_back(base::monotonic_ms());
              answering(well ? kOk : "HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n")(peer);
          }) {}

    bool well = true;
    std::vector<std::uint64_t> asked_ms;
    ScriptedServer server;
};

config::HealthConfig quick() {
    config::HealthConfig health;
    health.interval = health.fast_interval = health.down_interval = Duration(20);
    health.timeout = Duration(2'000);
    return health;
}

struct Ground {
    Ground() { base::log_start(base::LogLevel::info); }
    ~Ground() { base::log_start(base::LogLevel::error); }

    /// Pool web, its server "a" at `front`.
    [[nodiscard]] config::PoolConfig pool(const Front& front,
                                          std::optional<config::HealthConfig> health = quick()) {
        auto made = pool_of({{.name = "a", .slow_start_ms = 1'000, .port = front.server.address.port()}});
        made.health = std::move(health);
        return made;
    }
    void watch(const config::PoolConfig& config, pool::Admin admin = pool::Admin::enabled) {
        if (!shared) shared.emplace(config);
        pool::PoolDecision decision;
        decision.servers["a"].admin = admin;
        shared->configure(config, decision);
        const std::vector<std::shared_ptr<const pool::PoolSnapshot>> pools{shared->snapshot};
        monitor->watch(pools);
    }
    [[nodiscard]] pool::ServerState& state(const std::string& name = "a") { return shared->state(name); }
    [[nodiscard]] std::string_view reason() { return monitor->reason(state()); }
    [[nodiscard]] std::uint64_t version() const { return shared->snapshot->state->version.load(); }
    [[nodiscard]] bool comes_to(Health health) {
        return run_until(loop, [&] { return state().health.load() == health; });
    }

    CapturedDescriptor err{STDERR_FILENO};
    net::Loop loop;
    std::vector<std::string> cut;   // went down, and its exchanges are to be cut off
    std::vector<std::string> left;  // went down
    std::optional<SharedPool> shared;
    std::optional<Monitor> monitor{std::in_place, loop, [this](const auto& server, bool cut_off) {
                                       (cut_off ? cut : left).push_back(server->name);
                                   }};
};

}  // namespace

TEST_CASE("before its first result a server waits outside, unless it starts up") {
    Ground ground;
    Front front(ground.loop);
    auto config = ground.pool(front);
    ground.watch(config);
    CHECK(ground.state().health.load() == Health::unknown);
    CHECK(ground.state().held_down.load());
    CHECK_FALSE(ground.monitor->settled());
    CHECK(ground.reason().empty());

    config.health->start_up = true;
    ground.watch(config);
    CHECK_FALSE(ground.state().held_down.load());
}

TEST_CASE("the first success lets a server in, at full weight") {
    Ground ground;
    Front front(ground.loop);
    ground.watch(ground.pool(front));
    const std::uint64_t before = ground.version();
    REQUIRE(ground.comes_to(Health::up));
    CHECK_FALSE(ground.state().held_down.load());
    CHECK(ground.monitor->settled());
    CHECK(ground.version() == before + 1);
    CHECK(ground.state().slow_start_from_ms.load() == 0);
    CHECK(ground.state().health_since_ms.load() >= front.asked_ms[0]);
    CHECK_THAT(ground.err.text(), Catch::Contains("info server web/a: unknown -> up after ") &&
                                      Catch::EndsWith(": the first probe succeeded\n"));
}

TEST_CASE("failures take a server out and successes bring it back, gently, each step one event") {
    Ground ground;
    Front front(ground.loop);
    ground.watch(ground.pool(front));
    REQUIRE(ground.comes_to(Health::up));
    front.well = false;
    REQUIRE(ground.comes_to(Health::falling));
    CHECK_FALSE(ground.state().held_down.load());
    const std::uint64_t up_since = ground.state().health_since_ms.load();
    const std::uint64_t before = ground.version();
    REQUIRE(ground.comes_to(Health::down));
    CHECK(ground.state().held_down.load());
    CHECK(ground.version() == before + 1);
    CHECK(ground.state().health_since_ms.load() > up_since);
    CHECK(ground.reason() == "HTTP 503, expected 200-399");

    const std::uint64_t down_since = ground.state().health_since_ms.load();
    front.well = true;
    REQUIRE(ground.comes_to(Health::rising));
    CHECK(ground.state().held_down.load());
    CHECK(ground.state().health_since_ms.load() == down_since);
    REQUIRE(ground.comes_to(Health::up));
    CHECK_FALSE(ground.state().held_down.load());
    CHECK(ground.state().slow_start_from_ms.load() >= down_since);
    CHECK(ground.reason() == "2 successes in a row");
    CHECK(ground.cut.empty());
    CHECK(ground.left == std::vector<std::string>{"web/a"});

    const std::string log = ground.err.text();
    for (const char* step : {"info server web/a: unknown -> up", "info server web/a: up -> falling",
                             "warning server web/a: falling -> down", "info server web/a: down -> rising",
                             "info server web/a: rising -> up"}) {
        CHECK_THAT(log, Catch::Contains(step));
    }
    CHECK(std::ranges::count(log, '\n') == 5);
}

TEST_CASE("on_down close has the exchanges of a server cut that went down, not of one that is still down") {
    Ground ground;
    Front front(ground.loop);
    auto config = ground.pool(front);
    config.on_down = config::OnDown::close;
    config.health->rise = 3;
    ground.watch(config);
    REQUIRE(ground.comes_to(Health::up));
    front.well = false;
    REQUIRE(ground.comes_to(Health::down));
    CHECK(ground.cut == std::vector<std::string>{"web/a"});
    front.well = true;
    REQUIRE(ground.comes_to(Health::rising));
    front.well = false;
    REQUIRE(ground.comes_to(Health::down));
    CHECK(ground.cut.size() == 1);
}

TEST_CASE("a success ends an ejection where probe_clears says so, and only there") {
    Ground ground;
    Front front(ground.loop);
    auto config = ground.pool(front);
    config.health->probe_clears = GENERATE(false, true);
    ground.watch(config);
    REQUIRE(ground.comes_to(Health::up));
    ground.shared->eject("a", ground.loop.now_ms() + kHourMs);
    const std::size_t asked = front.asked_ms.size();
    REQUIRE(run_until(ground.loop, [&] { return front.asked_ms.size() > asked + 2; }));
    CHECK((ground.state().ejected_until_ms.load() == 0) == config.health->probe_clears);
}

TEST_CASE("what is watched again with the same settings goes on as it was") {
    Ground ground;
    Front front(ground.loop);
    auto config = ground.pool(front);
    config.health->interval = Duration(60'000);
    ground.watch(config);
    REQUIRE(ground.comes_to(Health::up));
    const std::size_t asked = front.asked_ms.size();
    config.servers[0].weight = 7;
    ground.watch(config);
    const std::uint64_t later = base::monotonic_ms() + 60;
    REQUIRE(run_until(ground.loop, [&] { return base::monotonic_ms() > later; }));
    CHECK(ground.state().health.load() == Health::up);
    CHECK(front.asked_ms.size() == asked);

    SECTION("and with others is asked anew, but keeps its standing until there is a result") {
        config.health->path = "/other";
        front.well = false;
        config.health->fall = 1;
        ground.watch(config);
        CHECK(ground.state().health.load() == Health::up);
        CHECK_FALSE(ground.state().held_down.load());
        REQUIRE(ground.comes_to(Health::down));
    }
}

TEST_CASE("a probe under way is dropped when its settings change, and its answer with it") {
    Ground ground;
    bool silent = true;
    ScriptedServer server(ground.loop, [&](Peer& peer) {
        if (!silent) answering(kOk)(peer);
    });
    auto config = pool_of({{.name = "a", .port = server.address.port()}});
    config.health = quick();
    ground.watch(config);
    REQUIRE(run_until(ground.loop, [&] { return server.accepted() == 1 && !server.last().heard.empty(); }));
    Peer& first = server.last();
    config.health->path = "/other";
    silent = false;
    ground.watch(config);
    REQUIRE(ground.comes_to(Health::up));
    REQUIRE(run_until(ground.loop, [&] { return !first.socket.open(); }));
    CHECK(first.reset);
}

TEST_CASE("without probes a server is used, whatever they said before") {
    Ground ground;
    Front front(ground.loop);
    front.well = false;
    auto config = ground.pool(front);
    ground.watch(config);
    REQUIRE(ground.comes_to(Health::down));
    const std::uint64_t before = ground.version();
    config.health.reset();
    ground.watch(config);
    CHECK(ground.state().health.load() == Health::unprobed);
    CHECK_FALSE(ground.state().held_down.load());
    CHECK(ground.version() == before + 1);
    CHECK(ground.reason().empty());
    CHECK(ground.monitor->settled());
}

TEST_CASE("servers in use that get probes are used on until their first result") {
    Ground ground;
    Front front(ground.loop);
    front.well = false;
    auto config = ground.pool(front, std::nullopt);
    ground.watch(config);
    const std::uint64_t before = ground.version();
    config.health = quick();
    ground.watch(config);
    CHECK(ground.state().health.load() == Health::unknown);
    CHECK_FALSE(ground.state().held_down.load());
    CHECK(ground.version() == before);
    CHECK(ground.monitor->settled());
    REQUIRE(ground.comes_to(Health::down));
    CHECK(ground.state().held_down.load());

    SECTION("but not one that was disabled") {
        config.health.reset();
        ground.watch(config, pool::Admin::disabled);
        config.health = quick();
        ground.watch(config);
        CHECK(ground.state().held_down.load());
    }
}

TEST_CASE(
    "a disabled server is not asked, and judged from the start once it is back; a drained one is asked on") {
    Ground ground;
    Front front(ground.loop);
    const auto config = ground.pool(front);
    ground.watch(config, pool::Admin::drained);
    REQUIRE(ground.comes_to(Health::up));
    ground.watch(config, pool::Admin::disabled);
    CHECK(ground.state().health.load() == Health::unknown);
    CHECK(ground.state().held_down.load());
    CHECK(ground.monitor->settled());
    CHECK(ground.reason().empty());
    const std::size_t asked = front.asked_ms.size();
    const std::uint64_t later = base::monotonic_ms() + 100;
    REQUIRE(run_until(ground.loop, [&] { return base::monotonic_ms() > later; }));
    CHECK(front.asked_ms.size() == asked);

    ground.watch(config);
    CHECK(ground.state().held_down.load());
    CHECK_FALSE(ground.monitor->settled());
    REQUIRE(ground.comes_to(Health::up));
    CHECK_FALSE(ground.state().held_down.load());
    CHECK(front.asked_ms.size() > asked);
}

TEST_CASE("a server in doubt is up again only after successes from then on") {
    Ground ground;
    Front front(ground.loop);
    auto config = ground.pool(front);
    config.health->rise = 3;
    config.on_down = config::OnDown::close;
    ground.watch(config);
    REQUIRE(ground.comes_to(Health::up));
    const std::size_t asked = front.asked_ms.size();
    ground.monitor->doubt(ground.state());
    CHECK(ground.state().health.load() == Health::down);
    CHECK(ground.state().held_down.load());
    CHECK(ground.reason() == "in doubt");
    // Its idle connections go; what is under way is left alone.
    CHECK(ground.left == std::vector<std::string>{"web/a"});
    CHECK(ground.cut.empty());
    CHECK_THAT(ground.err.text(), Catch::Contains("info server web/a: up -> down after "));
    REQUIRE(ground.comes_to(Health::rising));
    ground.monitor->doubt(ground.state());
    CHECK(ground.state().health.load() == Health::down);
    REQUIRE(ground.comes_to(Health::up));
    CHECK(front.asked_ms.size() >= asked + 4);
    CHECK(ground.left.size() == 1);

    const pool::ServerState stranger("web/b", "b", 1);
    ground.monitor->doubt(stranger);
}

TEST_CASE("a probe that was under way when the doubt came says nothing") {
    Ground ground;
    bool silent = true;
    ScriptedServer server(ground.loop, [&](Peer& peer) {
        if (!silent) answering(kOk)(peer);
    });
    auto config = pool_of({{.name = "a", .port = server.address.port()}});
    config.health = quick();
    ground.watch(config);
    REQUIRE(run_until(ground.loop, [&] { return server.accepted() == 1 && !server.last().heard.empty(); }));
    Peer& first = server.last();
    silent = false;
    ground.monitor->doubt(ground.state());
    answering(kOk)(first);
    REQUIRE(ground.comes_to(Health::rising));
    CHECK(server.accepted() == 2);
    REQUIRE(ground.comes_to(Health::up));
}

TEST_CASE("a server that is gone is asked no more, and a monitor leaves nothing open") {
    Ground ground;
    ScriptedServer server(ground.loop);  // says nothing
    auto config =
        pool_of({{.name = "a", .port = server.address.port()}, {.name = "b", .port = server.address.port()}});
    config.health = quick();
    const std::size_t before = open_descriptors();
    ground.watch(config);
    REQUIRE(run_until(ground.loop, [&] { return server.accepted() == 2; }));
    const auto ended = [&](std::ptrdiff_t count) {
        return run_until(ground.loop, [&] {
            return std::ranges::count_if(server.peers,
                                         [](const auto& peer) { return !peer->socket.open(); }) == count;
        });
    };
    config.servers.pop_back();
    ground.watch(config);
    CHECK(ended(1));
    ground.monitor.reset();
    CHECK(ended(2));
    CHECK(open_descriptors() == before);
}

TEST_CASE("many new servers have their first results at once, but not all in one turn") {
    constexpr std::size_t kServers = 400;
    Ground ground;
    Front front(ground.loop);
    std::vector<ServerSpec> specs(kServers, {.name = "", .port = front.server.address.port()});
    for (std::size_t i = 0; i < kServers; ++i)
        specs[i].name = std::to_string(i);
    auto config = pool_of(specs);
    config.health = quick();
    config.health->interval = Duration(60'000);
    ground.watch(config);
    REQUIRE(run_until(ground.loop, [&] { return ground.monitor->settled(); }));
    REQUIRE(front.asked_ms.size() == kServers);
    CHECK(front.asked_ms.back() - front.asked_ms.front() >= 100);
}

TEST_CASE("want of descriptors is no verdict: it is logged once, and the probe tried again") {
    Ground ground;
    Front front(ground.loop);
    ground.watch(ground.pool(front));
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit none{3, limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const std::uint64_t later = base::monotonic_ms() + 150;
    const bool waited = run_until(ground.loop, [&] { return base::monotonic_ms() > later; });
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE(waited);
    CHECK(ground.state().health.load() == Health::unknown);
    const std::string log = ground.err.text();
    CHECK_THAT(log, Catch::Contains("warning server web/a cannot be probed for the moment: socket: "));
    CHECK(std::ranges::count(log, '\n') == 1);
    CHECK(ground.comes_to(Health::up));
}

namespace {

/// Pool web, its server "a" by name, at these addresses of the loopback.
std::shared_ptr<const pool::PoolSnapshot> named(pool::StateTable& states, const Front& front,
                                                const std::vector<std::string>& addresses) {
    auto config = pool_of({{.name = "a", .port = front.server.address.port()}});
    config.servers[0].host = "front.example";
    config.health = quick();
    std::vector<base::IpAddress> ips;
    for (const std::string& address : addresses)
        ips.push_back(*base::IpAddress::parse(address));
    return pool::make_pool_snapshot(config, {{"front.example", ips}}, states);
}

}  // namespace

TEST_CASE(
    "an address that takes the place of all that were in use is used unprobed, one beside them is not") {
    Ground ground;
    Front front(ground.loop);
    pool::StateTable states{1};
    auto snapshot = named(states, front, {"127.0.0.1"});
    const auto watch = [&](const std::vector<std::string>& addresses) {
        snapshot = named(states, front, addresses);
        ground.monitor->watch(std::vector{snapshot});
    };
    const auto state = [&](std::size_t i) -> const pool::ServerState& { return *snapshot->servers[i].state; };

    watch({"127.0.0.1"});
    CHECK(state(0).held_down.load());  // there was none before
    REQUIRE(run_until(ground.loop, [&] { return state(0).health.load() == Health::up; }));
    watch({"127.0.0.1", "127.0.0.2"});
    CHECK(state(1).held_down.load());
    watch({"127.0.0.3"});
    CHECK(state(0).health.load() == Health::unknown);
    CHECK_FALSE(state(0).held_down.load());
    // Nobody listens there: its first result ends the trust.
    REQUIRE(run_until(ground.loop, [&] { return state(0).health.load() == Health::down; }));
    CHECK(state(0).held_down.load());
    CHECK(state(0).unreachable.load());
    watch({"127.0.0.1"});
    CHECK(state(0).held_down.load());  // what was before it was down
}

TEST_CASE(
    "what the palier before found is gone on with: no server waits outside again, or is let in unasked") {
    for (const bool was_up : {true, false}) {
        CAPTURE(was_up);
        Ground ground;
        Front front(ground.loop);
        front.well = !was_up;
        auto config = ground.pool(front);
        config.health->rise = config.health->fall = 2;
        config.health->start_up = !was_up;
        ground.shared.emplace(config);
        ground.state().former_health.store(was_up ? Health::falling : Health::rising);
        ground.state().health_since_ms.store(17);
        ground.watch(config);
        CHECK(ground.monitor->settled());
        CHECK(ground.state().health.load() == (was_up ? Health::up : Health::down));
        CHECK(ground.state().held_down.load() == !was_up);
        CHECK(ground.state().health_since_ms.load() == 17);
        CHECK(ground.reason() == "as the palier before this one found it");
        // It takes as many results as ever to make it another.
        REQUIRE(ground.comes_to(was_up ? Health::falling : Health::rising));
        REQUIRE(ground.comes_to(was_up ? Health::down : Health::up));
        CHECK(ground.state().former_health.load() == Health::unprobed);
    }
}
