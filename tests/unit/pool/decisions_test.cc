// What operators decide, from the decision to the pick.
#include "palier/pool/decisions.h"

#include "catch.h"
#include "palier/base/clock.h"
#include "palier/pool/outlier.h"
#include "palier/pool/standing.h"
#include "palier/pool/transition.h"
#include "pool_fixture.h"

using namespace palier::pool;
using namespace palier::test;
using palier::base::IpAddress;
using palier::base::monotonic_ms;
using palier::config::Failback;
using palier::config::Role;
using palier::config::WhenNone;

namespace {

using Shares = std::map<std::string, int>;

PoolDecision of_servers(std::map<std::string, ServerDecision, std::less<>> servers) {
    PoolDecision decision;
    decision.servers = std::move(servers);
    return decision;
}

PoolDecision drained(const std::string& server) {
    return of_servers({{server, {.admin = Admin::drained, .weight = {}}}});
}

PoolDecision only(const std::string& server) {
    PoolDecision decision;
    decision.only = server;
    return decision;
}

/// A pool under decisions, and a worker that has heard of them.
struct Decided {
    template <std::same_as<palier::config::PoolConfig> Config>
    explicit Decided(const Config& config) : shared(config), worker(shared) {}
    explicit Decided(const std::vector<ServerSpec>& servers) : Decided(pool_of(servers)) {}

    void decide(const PoolDecision& decision) {
        shared.decide(decision);
        worker.pool.update(shared.snapshot);
    }
    [[nodiscard]] Admin admin(const std::string& name) const { return shared.server(name).admin; }

    SharedPool shared;
    TestWorker worker;
};

const std::uint64_t kLater = monotonic_ms() + kHourMs;

}  // namespace

TEST_CASE("where nothing is decided the configuration holds") {
    const Decided pool({{.name = "a", .weight = 7}});
    CHECK(pool.admin("a") == Admin::enabled);
    CHECK(pool.shared.server("a").weight == 7);
    CHECK(pool.shared.server("a").configured_weight == 7);
    CHECK_FALSE(pool.shared.snapshot->maintenance);
    CHECK(text_of(Admin::left_out) == "left out");
}

TEST_CASE("a decision holds for all addresses of a name, and none for a name that is not there") {
    auto config = pool_of({{.name = "many"}, {.name = "one"}});
    config.servers[0].host = "fronts.example";
    StateTable states(1);
    const auto decision = of_servers({{"many", {.admin = Admin::disabled, .weight = 3}},
                                      {"nobody", {.admin = Admin::drained, .weight = 1}}});
    const auto pool = make_pool_snapshot(
        config, {{"fronts.example", {*IpAddress::parse("10.0.0.1"), *IpAddress::parse("10.0.0.2")}}}, states,
        &decision);
    REQUIRE(pool->servers.size() == 3);
    for (const std::size_t address : {0U, 1U}) {
        CHECK(pool->servers[address].admin == Admin::disabled);
        CHECK(pool->servers[address].weight == 3);
        CHECK(pool->servers[address].configured_weight == 100);
    }
    CHECK(pool->servers[2].admin == Admin::enabled);
    CHECK(pool->servers[2].weight == 100);
}

TEST_CASE("a weight that was decided is the one that counts, 0 too") {
    Decided pool({{.name = "a"}, {.name = "b"}});
    pool.decide(of_servers({{"a", {.admin = Admin::enabled, .weight = 300}}}));
    CHECK(pool.worker.shares(8) == Shares{{"a", 6}, {"b", 2}});
    pool.decide(of_servers({{"a", {.admin = Admin::enabled, .weight = 0}}}));
    CHECK(pool.worker.shares(8) == Shares{{"b", 8}});
    pool.decide({});
    CHECK(pool.worker.shares(8) == Shares{{"a", 4}, {"b", 4}});
}

TEST_CASE("a drained server is not picked: not first, not again, not in despair") {
    const Admin out = GENERATE(Admin::drained, Admin::disabled);
    auto config = pool_of({{.name = "a"}, {.name = "b"}});
    config.when_none = WhenNone::try_all;
    Decided pool(config);
    pool.decide(of_servers({{"a", {.admin = out, .weight = {}}}}));
    CHECK(pool.worker.shares(10) == Shares{{"b", 10}});
    CHECK_FALSE(usable(pool.shared.server("a"), monotonic_ms()));
    CHECK_FALSE(pool.worker.pool.has_other(pool.shared.server("b")));
    const std::vector<const ServerState*> tried{&pool.shared.state("b")};
    CHECK(pool.worker.next(tried) == "none");

    pool.shared.eject("b", kLater);  // ill, and tried all the same
    CHECK(pool.worker.shares(10) == Shares{{"b", 10}});
    pool.decide(of_servers({{"a", {.admin = out, .weight = {}}}, {"b", {.admin = out, .weight = {}}}}));
    CHECK(pool.worker.next() == "none");
}

TEST_CASE("drained active servers leave the traffic to the passive ones") {
    Decided pool({{.name = "a"}, {.name = "p", .role = Role::passive}});
    pool.decide(drained("a"));
    CHECK(pool.worker.next() == "p");
    pool.decide({});
    CHECK(pool.worker.next() == "a");
}

TEST_CASE("only: one server alone, whatever its role and weight") {
    Decided pool({{.name = "a"}, {.name = "b"}, {.name = "p", .weight = 0, .role = Role::passive}});
    pool.decide(only("p"));
    CHECK(pool.admin("a") == Admin::left_out);
    CHECK(pool.admin("p") == Admin::enabled);
    CHECK(pool.shared.server("p").weight == 1);
    CHECK(pool.worker.shares(6) == Shares{{"p", 6}});
    // Exclusive: nobody steps in for it.
    pool.shared.eject("p", kLater);
    CHECK(pool.worker.next() == "none");
    pool.decide({});
    CHECK(pool.worker.shares(6) == Shares{{"a", 3}, {"b", 3}});
}

TEST_CASE("whom only left out begins with its slow start, and who stayed drained does when it is put back") {
    Decided pool(
        {{.name = "a"}, {.name = "b", .slow_start_ms = kHourMs}, {.name = "c", .slow_start_ms = kHourMs}});
    CHECK(pool.worker.shares(6) == Shares{{"a", 2}, {"b", 2}, {"c", 2}});
    PoolDecision decision = drained("c");
    decision.only = "a";
    pool.decide(decision);
    pool.decide(drained("c"));
    CHECK(pool.worker.shares(101) == Shares{{"a", 100}, {"b", 1}});  // weights 100 and 1, the least
    CHECK(pool.shared.state("a").slow_start_from_ms == 0);
    CHECK(pool.shared.state("c").slow_start_from_ms == 0);
    pool.decide({});
    CHECK(pool.worker.shares(102) == Shares{{"a", 100}, {"b", 1}, {"c", 1}});
}

TEST_CASE("after a maintenance servers are at work again, and warm up") {
    Decided pool({{.name = "a"}, {.name = "b", .slow_start_ms = kHourMs}});
    PoolDecision maintenance;
    maintenance.maintenance = true;
    pool.decide(maintenance);
    pool.decide({});
    CHECK(pool.worker.shares(101) == Shares{{"a", 100}, {"b", 1}});
}

TEST_CASE("only does not put back who was drained, nor have those probed who are disabled") {
    Decided pool({{.name = "a"}, {.name = "b"}});
    PoolDecision decision = only("a");
    decision.servers = {{"a", {.admin = Admin::drained, .weight = 5}},
                        {"b", {.admin = Admin::disabled, .weight = {}}}};
    pool.decide(decision);
    CHECK(pool.admin("a") == Admin::drained);
    CHECK(pool.shared.server("a").weight == 5);
    CHECK(pool.admin("b") == Admin::disabled);
    CHECK(pool.worker.next() == "none");
}

TEST_CASE("only of a server that is not configured means nothing; of one without an address, nobody") {
    Decided pool({{.name = "a"}, {.name = "b"}});
    pool.decide(only("gone"));
    CHECK(pool.worker.shares(4) == Shares{{"a", 2}, {"b", 2}});

    auto config = pool_of({{.name = "a"}, {.name = "named"}});
    config.servers[1].host = "nowhere.example";
    SharedPool unresolved(config);
    unresolved.decide(only("named"));
    CHECK(unresolved.server("a").admin == Admin::left_out);
}

TEST_CASE("failback manual: what only gave to a passive server, it gives back") {
    auto config = pool_of({{.name = "a"}, {.name = "p", .role = Role::passive}});
    config.failback = Failback::manual;
    Decided pool(config);
    pool.decide(only("p"));
    CHECK(pool.worker.next() == "p");
    CHECK_FALSE(held_by_passive(*pool.shared.snapshot));
    pool.decide({});
    CHECK(pool.worker.next() == "a");
}

TEST_CASE("failback manual: an active server that is put back to work gets the traffic back") {
    auto config = pool_of({{.name = "a"}, {.name = "p", .role = Role::passive}});
    config.failback = Failback::manual;
    Decided pool(config);
    TestWorker late(pool.shared, 1);
    pool.decide(drained("a"));
    CHECK(pool.worker.next() == "p");
    CHECK(held_by_passive(*pool.shared.snapshot));
    const auto while_drained = pool.shared.snapshot;
    pool.decide({});
    CHECK_FALSE(held_by_passive(*pool.shared.snapshot));
    CHECK(pool.worker.next() == "a");
    // A worker that has not heard of it yet takes nothing back.
    late.pool.update(while_drained);
    CHECK(late.next() == "p");
    pool.shared.snapshot->state->changed();
    CHECK(pool.worker.next() == "a");
    late.pool.update(pool.shared.snapshot);
    CHECK(late.next() == "a");
}

TEST_CASE("failback manual: fail_back() and a changed configuration end the hold, other decisions do not") {
    auto config = pool_of({{.name = "a"}, {.name = "p", .role = Role::passive}});
    config.failback = Failback::manual;
    Decided pool(config);
    const auto take_over = [&] {
        pool.shared.eject("a", kLater);
        CHECK(pool.worker.next() == "p");
        pool.shared.bring_back("a");
        CHECK(pool.worker.next() == "p");
    };
    take_over();
    pool.decide(of_servers({{"p", {.admin = Admin::enabled, .weight = 3}}}));
    CHECK(pool.worker.next() == "p");
    fail_back(*pool.shared.snapshot->state);
    CHECK(pool.worker.next() == "a");

    take_over();
    config.retries = 7;
    pool.shared.configure(config);
    pool.worker.pool.update(pool.shared.snapshot);
    CHECK(pool.worker.next() == "a");
}

TEST_CASE("servers that operators have taken out count for max_ejected") {
    auto config = pool_of({{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}});
    config.outlier.failures = 1;
    SharedPool shared(config);
    const auto ejects = [&](const std::string& name) {
        report_failure(*shared.snapshot, shared.server(name), false, "refused", monotonic_ms());
        return shared.state(name).ejected_until_ms.load() != 0;
    };
    shared.decide(of_servers(
        {{"a", {.admin = Admin::drained, .weight = {}}}, {"b", {.admin = Admin::disabled, .weight = {}}}}));
    CHECK_FALSE(ejects("c"));
    shared.decide(drained("a"));
    CHECK(ejects("c"));
}

TEST_CASE("a pool of which nothing has changed is the same object, whatever object its configuration is") {
    SharedPool shared({{.name = "a"}, {.name = "b"}});
    const auto first = shared.snapshot;
    shared.configure(pool_of({{.name = "a"}, {.name = "b"}}));
    CHECK(shared.snapshot == first);
    shared.decide(drained("nobody"));
    CHECK(shared.snapshot == first);
    PoolDecision maintenance;
    maintenance.maintenance = true;
    shared.decide(maintenance);
    CHECK(shared.snapshot != first);
    CHECK(shared.snapshot->maintenance);
    CHECK(shared.snapshot->era == first->era);
}

TEST_CASE("decisions do not disturb the rotation of those that stay") {
    Decided pool({{.name = "a"}, {.name = "b"}, {.name = "c"}});
    CHECK(pool.worker.next() == "a");
    pool.decide(of_servers({{"c", {.admin = Admin::enabled, .weight = 1}}}));
    CHECK(pool.worker.next() == "b");
}

TEST_CASE("the observer of transitions hears of each until it is ended") {
    std::vector<std::string> seen;
    set_transition_observer([&](const ServerState& server, const Transition& transition) {
        seen.push_back(server.name + " " + std::string(transition.to));
    });
    const ServerState state("web/a", "a", 1);
    announce(state, {.from = "up", .to = "falling", .reason = "a test"});
    set_transition_observer({});
    announce(state, {.from = "falling", .to = "up", .reason = "a test"});
    CHECK(seen == std::vector<std::string>{"web/a falling"});
}
