#include "palier/pool/worker_pool.h"

#include "catch.h"
#include "palier/base/clock.h"
#include "palier/pool/outlier.h"
#include "pool_fixture.h"

#include <algorithm>
#include <set>
#include <thread>

using namespace palier::pool;
using namespace palier::test;
using palier::base::monotonic_ms;
using palier::config::Failback;
using palier::config::Role;
using palier::pool::Health;

namespace {

using Shares = std::map<std::string, int>;

/// Active local, active remote, passive local, passive remote.
const std::vector<ServerSpec> kFourTiers{{.name = "al", .local = true},
                                         {.name = "ar"},
                                         {.name = "pl", .role = Role::passive, .local = true},
                                         {.name = "pr", .role = Role::passive}};

struct RecordingWaiter final : Waiter {
    explicit RecordingWaiter(std::vector<int>& log, int id) : order(log), number(id) {}
    void on_server_free() override {
        order.push_back(number);
        if (again != nullptr) again->wait(*this);
    }
    std::vector<int>& order;
    int number;
    WorkerPool* again = nullptr;
};

template <typename Condition>
[[nodiscard]] bool run_until(palier::net::Loop& loop, Condition done) {
    const std::uint64_t end = monotonic_ms() + 10'000;
    while (!done()) {
        if (monotonic_ms() > end) return false;
        loop.run_once(20);
    }
    return true;
}

}  // namespace

TEST_CASE("the rotation is smooth: 5, 1, 1 give a a b a c a a") {
    SharedPool shared({{.name = "a", .weight = 5}, {.name = "b", .weight = 1}, {.name = "c", .weight = 1}});
    TestWorker worker(shared);
    CHECK(worker.sequence(14) == "aabacaaaabacaa");
}

TEST_CASE("workers start at different places of the rotation") {
    SharedPool shared({{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}});
    std::set<std::string> firsts;
    for (std::uint64_t seed = 0; seed < 9; ++seed)
        firsts.insert(TestWorker(shared, 0, seed).next());
    CHECK(firsts == std::set<std::string>{"a", "b", "c", "d"});
}

TEST_CASE("weight 0 gets nothing, not even alone") {
    SharedPool shared({{.name = "a", .weight = 0}, {.name = "b"}});
    TestWorker worker(shared);
    CHECK(worker.shares(20) == Shares{{"b", 20}});
    SharedPool alone({{.name = "a", .weight = 0}});
    CHECK(TestWorker(alone).next() == "none");
}

TEST_CASE("a pool without an address has no server") {
    auto config = pool_of({{.name = "a"}});
    config.servers[0].host = "no.address.yet";
    SharedPool shared(config);
    CHECK(TestWorker(shared).next() == "none");
}

TEST_CASE("a tier serves only when the one before it has no usable server") {
    SharedPool shared(kFourTiers);
    TestWorker worker(shared);
    const std::uint64_t later = monotonic_ms() + kHourMs;
    for (const char* tier : {"al", "ar", "pl", "pr"}) {
        CHECK(worker.shares(4) == Shares{{tier, 4}});
        shared.eject(tier, later);
    }
    CHECK(worker.next() == "none");
    for (const char* tier : {"pr", "pl", "ar", "al"}) {
        shared.bring_back(tier);
        CHECK(worker.shares(4) == Shares{{tier, 4}});
    }
}

TEST_CASE("without prefer_local the tiers are active and passive") {
    auto config = pool_of(kFourTiers);
    config.prefer_local = false;
    SharedPool shared(config);
    TestWorker worker(shared);
    CHECK(worker.shares(4) == Shares{{"al", 2}, {"ar", 2}});
    const std::uint64_t later = monotonic_ms() + kHourMs;
    shared.eject("al", later);
    CHECK(worker.shares(4) == Shares{{"ar", 4}});
    shared.eject("ar", later);
    CHECK(worker.shares(4) == Shares{{"pl", 2}, {"pr", 2}});
}

TEST_CASE("a passive server of weight 0 takes over nothing") {
    SharedPool shared({{.name = "a"}, {.name = "p", .weight = 0, .role = Role::passive}});
    TestWorker worker(shared);
    shared.eject("a", monotonic_ms() + kHourMs);
    CHECK(worker.next() == "none");
}

TEST_CASE("failback manual: what the passive servers took over they keep, until they fail themselves") {
    auto config = pool_of({{.name = "a"}, {.name = "p", .role = Role::passive}});
    config.failback = Failback::manual;
    SharedPool shared(config);
    TestWorker one(shared, 0);
    TestWorker two(shared, 1);
    CHECK(one.next() == "a");
    const std::uint64_t later = monotonic_ms() + kHourMs;
    shared.eject("a", later);
    CHECK(one.next() == "p");
    shared.bring_back("a");
    CHECK(one.next() == "p");
    CHECK(two.next() == "p");
    shared.eject("p", later);
    CHECK(one.next() == "a");
    CHECK(two.next() == "a");
}

TEST_CASE("failback manual: a pool whose servers all failed stays with the actives that return first") {
    auto config = pool_of({{.name = "a"}, {.name = "p", .role = Role::passive}});
    config.failback = Failback::manual;
    SharedPool shared(config);
    TestWorker worker(shared);
    const std::uint64_t later = monotonic_ms() + kHourMs;
    shared.eject("p", later);
    shared.eject("a", later);
    CHECK(worker.next() == "none");
    shared.bring_back("a");
    CHECK(worker.next() == "a");
    shared.bring_back("p");
    CHECK(worker.next() == "a");
}

TEST_CASE("a server that is only full does not make the passive ones take over for good") {
    auto config = pool_of({{.name = "a", .max_connections = 1}, {.name = "p", .role = Role::passive}});
    config.failback = Failback::manual;
    SharedPool shared(config);
    TestWorker worker(shared);
    Lease held;
    CHECK(worker.take(held) == "a");
    CHECK(worker.next() == "p");
    held.discard();
    CHECK(worker.next() == "a");
}

TEST_CASE("max_connections counts the exchanges of all workers") {
    SharedPool shared({{.name = "a", .max_connections = 2}});
    TestWorker one(shared, 0);
    TestWorker two(shared, 1);
    Lease first;
    Lease second;
    CHECK(one.take(first) == "a");
    CHECK(two.take(second) == "a");
    CHECK(one.next() == "full");
    CHECK(two.next() == "full");
    CHECK(shared.state("a").in_flight() == 2);
    first.discard();
    CHECK(one.next() == "a");
    CHECK(shared.state("a").limited.load() == 1);
    // Another worker learns of it within its own time.
    std::string got;
    REQUIRE(run_until(two.loop, [&] { return (got = two.next()) != "full"; }));
    CHECK(got == "a");
    second.discard();
    CHECK(shared.state("a").limited.load() == 0);
    CHECK(shared.state("a").in_flight() == 0);
}

TEST_CASE("a full server sends the rest elsewhere, to its own tier first") {
    SharedPool shared({{.name = "a", .weight = 100, .max_connections = 1},
                       {.name = "b", .weight = 1, .max_connections = 1},
                       {.name = "p", .role = Role::passive, .max_connections = 1}});
    TestWorker worker(shared);
    Lease a;
    Lease b;
    Lease p;
    CHECK(worker.take(a) == "a");
    CHECK(worker.take(b) == "b");
    CHECK(worker.take(p) == "p");
    CHECK(worker.next() == "full");
    b.discard();
    CHECK(worker.next() == "b");
    a.discard();
    CHECK(worker.next() == "a");
}

TEST_CASE("no more exchanges than max_connections, however many workers ask at once") {
    SharedPool shared({{.name = "a", .max_connections = 3}, {.name = "b", .max_connections = 2}});
    std::atomic<int> most_a{0};
    std::atomic<int> most_b{0};
    std::atomic<int> now_a{0};
    std::atomic<int> now_b{0};
    std::atomic<int> served{0};
    const auto raise = [](std::atomic<int>& most, int value) {
        int seen = most.load();
        while (seen < value && !most.compare_exchange_weak(seen, value)) {
        }
    };
    // Made and unmade by one thread, as workers are: ThreadSanitizer does not see libuv close its
    // descriptors.
    std::vector<std::unique_ptr<TestWorker>> workers;
    for (unsigned i = 0; i < SharedPool::kWorkers; ++i) {
        workers.push_back(std::make_unique<TestWorker>(shared, i, i));
    }
    std::vector<std::thread> threads;
    for (auto& own : workers) {
        threads.emplace_back([&, &worker = *own] {
            for (int round = 0; round < 2'000; ++round) {
                std::vector<std::unique_ptr<Lease>> leases;
                for (int i = 0; i < 3; ++i) {
                    auto lease = std::make_unique<Lease>();
                    const std::string name = worker.take(*lease);
                    if (!lease->held()) continue;
                    ++served;
                    raise(name == "a" ? most_a : most_b, ++(name == "a" ? now_a : now_b));
                    leases.push_back(std::move(lease));
                }
                for (auto& lease : leases) {
                    --(lease->server().name == "a" ? now_a : now_b);
                    lease.reset();
                }
                worker.loop.run_once(0);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    CHECK(served.load() > 0);
    CHECK(most_a.load() <= 3);
    CHECK(most_b.load() <= 2);
    CHECK(shared.state("a").limited.load() == 0);
    CHECK(shared.state("b").limited.load() == 0);
    CHECK(shared.state("a").in_flight() == 0);
}

TEST_CASE("those that wait are asked in order when a server has room again") {
    SharedPool shared({{.name = "a", .max_connections = 1}});
    TestWorker worker(shared);
    Lease held;
    CHECK(worker.take(held) == "a");
    std::vector<int> order;
    RecordingWaiter first(order, 1);
    RecordingWaiter second(order, 2);
    worker.pool.wait(first);
    worker.pool.wait(second);
    worker.loop.run_once(0);
    CHECK(order.empty());
    held.discard();
    worker.loop.run_once(0);
    CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("one that finds no room keeps its place, and the others are not asked in vain") {
    SharedPool shared({{.name = "a", .max_connections = 1}});
    TestWorker worker(shared);
    Lease held;
    CHECK(worker.take(held) == "a");
    std::vector<int> order;
    RecordingWaiter first(order, 1);
    RecordingWaiter second(order, 2);
    first.again = &worker.pool;
    worker.pool.wait(first);
    worker.pool.wait(second);
    held.discard();
    worker.loop.run_once(0);
    CHECK(order == std::vector<int>{1});
    first.again = nullptr;
    REQUIRE(run_until(worker.loop, [&] { return order.size() == 3; }));
    CHECK(order == std::vector<int>{1, 1, 2});
}

TEST_CASE("room that another worker made is found by those that wait") {
    SharedPool shared({{.name = "a", .max_connections = 1}});
    TestWorker one(shared, 0);
    TestWorker two(shared, 1);
    Lease held;
    CHECK(one.take(held) == "a");
    CHECK(two.next() == "full");
    std::vector<int> order;
    RecordingWaiter waiter(order, 1);
    two.pool.wait(waiter);
    held.discard();
    REQUIRE(run_until(two.loop, [&] { return !order.empty(); }));
    CHECK(two.next() == "a");
}

TEST_CASE("a waiter that gives up is not asked") {
    SharedPool shared({{.name = "a", .max_connections = 1}});
    TestWorker worker(shared);
    Lease held;
    CHECK(worker.take(held) == "a");
    std::vector<int> order;
    {
        RecordingWaiter waiter(order, 1);
        worker.pool.wait(waiter);
    }
    held.discard();
    worker.loop.run_once(0);
    CHECK(order.empty());
}

TEST_CASE("slow start: the weight grows with the time since the return") {
    constexpr std::uint64_t kStartMs = 200'000;  // so long that a slow test does not move a whole per cent
    SharedPool shared({{.name = "a"}, {.name = "b", .slow_start_ms = kStartMs}});
    REQUIRE(monotonic_ms() > kStartMs);
    const auto share_after = [&](std::uint64_t age_ms) {
        shared.state("b").slow_start_from_ms.store(monotonic_ms() - age_ms);
        shared.snapshot->state->changed();
        TestWorker worker(shared);
        return worker.shares(1'000)["b"];
    };
    CHECK(share_after(0) == 10);                  // weights 100 and 1, the least
    CHECK(share_after(kStartMs / 4) == 200);      // 100 and 25
    CHECK(share_after(kStartMs - 1'000) == 499);  // 100 and 99.5
    CHECK(share_after(kStartMs) == 500);
}

TEST_CASE("another try avoids the servers that were tried") {
    SharedPool shared(
        {{.name = "a", .weight = 1000}, {.name = "b", .weight = 1}, {.name = "c", .weight = 1}});
    TestWorker worker(shared);
    const ServerState* a = &shared.state("a");
    const ServerState* b = &shared.state("b");
    const ServerState* c = &shared.state("c");
    for (int i = 0; i < 20; ++i) {
        CHECK(worker.next({a, b}) == "c");
        CHECK(worker.next({a, c}) == "b");
        CHECK(worker.next({a}) != "a");
    }
    CHECK(worker.next({a, b, c}) == "none");
}

TEST_CASE("another try goes to the next tier when its own has nobody left, and spreads there") {
    SharedPool shared({{.name = "al", .local = true},
                       {.name = "ar1"},
                       {.name = "ar2"},
                       {.name = "p", .role = Role::passive}});
    TestWorker worker(shared);
    const ServerState* local = &shared.state("al");
    Shares second;
    for (int i = 0; i < 20; ++i)
        ++second[worker.next({local})];
    CHECK(second == Shares{{"ar1", 10}, {"ar2", 10}});
    CHECK(worker.next({local, &shared.state("ar1"), &shared.state("ar2")}) == "p");
    CHECK(worker.next() == "al");
}

TEST_CASE("another try does not go to a server that is ejected, full or of weight 0") {
    SharedPool shared({{.name = "a"},
                       {.name = "out"},
                       {.name = "full", .max_connections = 1},
                       {.name = "never", .weight = 0}});
    TestWorker worker(shared);
    shared.eject("out", monotonic_ms() + kHourMs);
    Lease held;
    REQUIRE(worker.take(held, {&shared.state("a")}) == "full");
    CHECK(worker.next({&shared.state("a")}) == "full");
    held.discard();
}

TEST_CASE("has_other counts usable servers of every tier") {
    SharedPool shared({{.name = "a"}, {.name = "p", .role = Role::passive}});
    TestWorker worker(shared);
    CHECK(worker.pool.has_other(shared.server("a")));
    shared.eject("p", monotonic_ms() + kHourMs);
    CHECK_FALSE(worker.pool.has_other(shared.server("a")));
    CHECK(worker.pool.has_other(shared.server("p")));
}

TEST_CASE("after its time an ejected server gets one request on trial, from one worker") {
    SharedPool shared({{.name = "a"}, {.name = "b"}});
    TestWorker one(shared, 0);
    TestWorker two(shared, 1);
    shared.eject("b", one.loop.now_ms() - 1);
    Lease trial;
    while (!trial.held()) {
        Lease lease;
        if (one.take(lease) != "b") continue;
        shared.snapshot->state->changed();
        lease.discard();  // given up without a verdict: another may try
        while (one.take(trial) != "b")
            trial.discard();
    }
    CHECK(shared.state("b").on_trial.load());
    CHECK(one.shares(20) == Shares{{"a", 20}});
    CHECK(two.shares(20) == Shares{{"a", 20}});

    SECTION("success brings it back") {
        trial.success();
        CHECK(shared.state("b").ejected_until_ms.load() == 0);
        CHECK(one.shares(20) == Shares{{"a", 10}, {"b", 10}});
        CHECK(two.shares(20) == Shares{{"a", 10}, {"b", 10}});
        CHECK_FALSE(shared.state("b").on_trial.load());
    }
    SECTION("failure ejects it again") {
        trial.failure("refused");
        CHECK(shared.state("b").ejected_until_ms.load() > monotonic_ms());
        CHECK(one.shares(20) == Shares{{"a", 20}});
        CHECK(two.shares(20) == Shares{{"a", 20}});
    }
    SECTION("no verdict leaves the trial to the next") {
        trial.discard();
        CHECK_FALSE(shared.state("b").on_trial.load());
        Lease next;
        while (two.take(next) != "b")
            next.discard();
        next.success();
    }
    trial.discard();
}

TEST_CASE("a trial that finds its server full is not used up") {
    SharedPool shared({{.name = "a", .max_connections = 1}});
    TestWorker worker(shared);
    Lease held;
    CHECK(worker.take(held) == "a");
    shared.eject("a", worker.loop.now_ms() - 1);
    CHECK(worker.next() == "full");
    CHECK_FALSE(shared.state("a").on_trial.load());
    held.discard();
    CHECK(worker.next() == "a");
}

TEST_CASE("an update keeps the servers that stay, takes those that come, and lets leases of the gone end") {
    SharedPool shared({{.name = "a"}, {.name = "b"}});
    TestWorker worker(shared);
    Lease of_a;
    Lease of_b;
    while (worker.take(of_a) != "a")
        of_a.discard();
    while (worker.take(of_b) != "b")
        of_b.discard();
    shared.configure(pool_of({{.name = "b", .weight = 7}, {.name = "c", .weight = 7}}));
    worker.pool.update(shared.snapshot);
    CHECK(worker.shares(10) == Shares{{"b", 5}, {"c", 5}});
    CHECK(of_a.server().name == "a");
    CHECK(of_b.server().weight == 7);
    CHECK_FALSE(worker.pool.idle());
    of_a.discard();
    of_b.discard();
    CHECK(worker.pool.idle());
    worker.loop.run_once(0);
    CHECK(worker.shares(10) == Shares{{"b", 5}, {"c", 5}});
}

TEST_CASE("an update keeps what is known of a server: its ejection and its claims") {
    SharedPool shared({{.name = "a"}, {.name = "b", .max_connections = 1}});
    TestWorker worker(shared);
    Lease of_b;
    while (worker.take(of_b) != "b")
        of_b.discard();
    shared.eject("a", monotonic_ms() + kHourMs);
    shared.configure(pool_of({{.name = "a"}, {.name = "b", .max_connections = 1}, {.name = "c"}}));
    worker.pool.update(shared.snapshot);
    CHECK(worker.shares(10) == Shares{{"c", 10}});
    of_b.discard();
    CHECK(worker.shares(10) == Shares{{"b", 5}, {"c", 5}});
}

TEST_CASE("a set of pools keeps by name the pools that stay, and lets go of the others") {
    palier::net::Loop loop;
    palier::base::BufferCache buffers;
    palier::tls::Workspace workspace(buffers);
    StateTable states(1);
    const auto snapshot = [&](const std::string& name) {
        auto config = pool_of({{.name = "a"}});
        config.name = name;
        return make_pool_snapshot(config, {}, states);
    };
    PoolSet pools(PoolEnvironment{loop, buffers, workspace});
    const std::vector<std::shared_ptr<const PoolSnapshot>> before{snapshot("one"), snapshot("two")};
    pools.update(before, kHourMs);
    WorkerPool& one = pools.at(0);
    WorkerPool& two = pools.at(1);
    Lease held;
    REQUIRE(one.pick({}, held) == Pick::leased);
    const std::vector<std::shared_ptr<const PoolSnapshot>> after{snapshot("two"), snapshot("three")};
    pools.update(after, kHourMs);
    CHECK(&pools.at(0) == &two);
    CHECK(pools.at(1).snapshot().config.name == "three");
    CHECK(held.server().name == "a");
    held.discard();
    pools.update(after, kHourMs);
}

TEST_CASE("slow start grows in small steps where weights are small") {
    constexpr std::uint64_t kStartMs = 200'000;
    SharedPool shared({{.name = "a", .weight = 1}, {.name = "b", .weight = 1, .slow_start_ms = kStartMs}});
    shared.state("b").slow_start_from_ms.store(monotonic_ms() - kStartMs / 4);
    shared.snapshot->state->changed();
    TestWorker worker(shared);
    CHECK(worker.shares(1'000)["b"] == 200);
    // At its full weight again the rotation is the plain one.
    shared.state("b").slow_start_from_ms.store(monotonic_ms() - kStartMs);
    shared.snapshot->state->changed();
    CHECK(worker.sequence(4).find("aa") == std::string::npos);
}

namespace {

/// Two actives and a passive one.
palier::config::PoolConfig with_spare(std::uint32_t min_usable) {
    auto pool = pool_of({{.name = "a"}, {.name = "b"}, {.name = "p", .role = Role::passive}});
    pool.min_usable = min_usable;
    return pool;
}

void hold_down(const SharedPool& shared, const std::string& name, bool down) {
    shared.state(name).held_down.store(down);
    shared.snapshot->state->changed();
}

}  // namespace

TEST_CASE("a server that probes hold down gets nothing, and its share again afterwards") {
    SharedPool shared({{.name = "a"}, {.name = "b"}});
    TestWorker worker(shared);
    hold_down(shared, "a", true);
    CHECK(worker.sequence(3) == "bbb");
    CHECK(worker.next({&shared.state("b")}) == "none");
    hold_down(shared, "b", true);
    CHECK(worker.next() == "none");
    hold_down(shared, "a", false);
    CHECK(worker.sequence(3) == "aaa");
}

TEST_CASE("min_usable: the next tier joins while the first is too small") {
    SharedPool shared(with_spare(2));
    TestWorker worker(shared);
    CHECK(worker.shares(100) == Shares{{"a", 50}, {"b", 50}});
    hold_down(shared, "a", true);
    CHECK(worker.shares(100) == Shares{{"b", 50}, {"p", 50}});
    hold_down(shared, "b", true);
    CHECK(worker.shares(10) == Shares{{"p", 10}});
    hold_down(shared, "a", false);
    hold_down(shared, "b", false);
    CHECK(worker.shares(100) == Shares{{"a", 50}, {"b", 50}});
}

TEST_CASE("try_all: without a usable server all are tried, and no more once one is back") {
    auto pool = with_spare(1);
    pool.when_none = palier::config::WhenNone::try_all;
    SharedPool shared(pool);
    TestWorker worker(shared);
    hold_down(shared, "a", true);
    shared.eject("b", monotonic_ms() + kHourMs);
    CHECK(worker.next() == "p");
    hold_down(shared, "p", true);
    CHECK(worker.shares(30) == Shares{{"a", 10}, {"b", 10}, {"p", 10}});
    CHECK_FALSE(shared.state("b").on_trial.load());
    CHECK(worker.next({&shared.state("a"), &shared.state("p")}) == "b");
    hold_down(shared, "p", false);
    CHECK(worker.sequence(3) == "ppp");
}

namespace {

/// failback = "manual": one active server and a passive one.
palier::config::PoolConfig manual_pair() {
    auto pool = pool_of({{.name = "a"}, {.name = "p", .role = Role::passive}});
    pool.failback = Failback::manual;
    return pool;
}

}  // namespace

TEST_CASE("manual failback: a takeover that was there before the worker is kept") {
    SharedPool shared(manual_pair());
    hold_down(shared, "a", true);
    TestWorker worker(shared);
    CHECK(worker.next() == "p");
    hold_down(shared, "a", false);
    CHECK(worker.sequence(3) == "ppp");
}

TEST_CASE("manual failback: a new snapshot between the fall and the takeover does not hide it") {
    SharedPool shared(manual_pair());
    TestWorker worker(shared);
    hold_down(shared, "a", true);
    shared.configure(manual_pair());
    worker.pool.update(shared.snapshot);
    CHECK(worker.next() == "p");
    hold_down(shared, "a", false);
    CHECK(worker.sequence(3) == "ppp");
}

TEST_CASE("manual failback: an active server loses nothing while its first probe is under way") {
    SharedPool shared(manual_pair());
    shared.state("a").health.store(Health::unknown);
    hold_down(shared, "a", true);
    TestWorker worker(shared);
    CHECK(worker.sequence(2) == "pp");
    shared.state("a").health.store(Health::up);
    hold_down(shared, "a", false);
    CHECK(worker.sequence(3) == "aaa");
}

TEST_CASE("try_all: a slow start that was under way does not hold all requests at one server") {
    auto pool = pool_of({{.name = "a"}, {.name = "b", .slow_start_ms = kHourMs}, {.name = "c"}});
    pool.when_none = palier::config::WhenNone::try_all;
    SharedPool shared(pool);
    shared.state("b").slow_start_from_ms.store(monotonic_ms());
    TestWorker worker(shared);
    for (const char* name : {"a", "b", "c"})
        shared.state(name).held_down.store(true);
    Shares shares;
    for (int i = 0; i < 30; ++i) {
        shared.snapshot->state->changed();
        ++shares[worker.next()];
    }
    CHECK(shares == Shares{{"a", 10}, {"b", 10}, {"c", 10}});
}

TEST_CASE("a server that is full while it grows does not begin the rotation anew") {
    SharedPool shared({{.name = "a"}, {.name = "b", .max_connections = 1, .slow_start_ms = kHourMs}});
    shared.state("b").slow_start_from_ms.store(monotonic_ms() - kHourMs / 2);
    shared.snapshot->state->changed();
    TestWorker worker(shared);
    Lease held;
    while (worker.take(held) != "b")
        held.discard();
    CHECK(worker.sequence(3) == "aaa");
    held.discard();
    shared.snapshot->state->changed();
    CHECK(worker.shares(30) == Shares{{"a", 20}, {"b", 10}});
}

TEST_CASE("a trial whose ejection is over is an exchange like any other") {
    SharedPool shared({{.name = "a"}, {.name = "b"}});
    TestWorker worker(shared);
    shared.eject("a", worker.loop.now_ms());
    Lease trial;
    while (worker.take(trial) != "a")
        trial.discard();
    REQUIRE(shared.state("a").on_trial.load());
    end_ejection(*shared.snapshot, shared.server("a"), "a probe succeeded", monotonic_ms());
    // Ejected anew, and another has the trial of that.
    shared.eject("a", monotonic_ms() + kHourMs);
    shared.state("a").on_trial.store(true);
    const std::uint64_t until = shared.state("a").ejected_until_ms.load();
    trial.failure("cut");
    CHECK(shared.state("a").ejected_until_ms.load() == until);
    CHECK(shared.state("a").failures_in_row.load() == 1);
    trial.discard();
    CHECK(shared.state("a").on_trial.load());
}

TEST_CASE("servers that change places keep their leases, wherever they go") {
    std::vector<ServerSpec> specs;
    for (int i = 0; i < 50; ++i)
        specs.push_back({.name = "s" + std::to_string(i)});
    SharedPool shared(specs);
    TestWorker worker(shared);
    std::vector<Lease> leases(50);
    for (Lease& lease : leases)
        REQUIRE(worker.take(lease) != "none");
    std::ranges::reverse(specs);
    specs.erase(specs.begin() + 10, specs.begin() + 20);
    specs.push_back({.name = "new"});
    shared.configure(pool_of(specs));
    worker.pool.update(shared.snapshot);
    for (const Server& server : shared.snapshot->servers)
        CHECK(server.state->in_flight() == (server.name == "new" ? 0 : 1));
    for (Lease& lease : leases)
        lease.discard();
    worker.loop.run_once(0);
    for (const Server& server : shared.snapshot->servers)
        CHECK(server.state->in_flight() == 0);
    CHECK(worker.shares(82) == [&] {
        Shares two_each;
        for (const ServerSpec& spec : specs)
            two_each[spec.name] = 2;
        return two_each;
    }());
}

TEST_CASE("the pools of a worker find each other again by name, and those that left go") {
    StateTable states(1);
    const auto snapshot_of = [&](const std::string& name) {
        auto config = pool_of({{.name = "a"}});
        config.name = name;
        return make_pool_snapshot(config, {}, states);
    };
    palier::net::Loop loop;
    palier::base::BufferCache buffers;
    palier::tls::Workspace tls(buffers);
    PoolSet pools({loop, buffers, tls});
    std::vector<std::shared_ptr<const PoolSnapshot>> snapshots{snapshot_of("x"), snapshot_of("y"),
                                                               snapshot_of("z")};
    pools.update(snapshots, kHourMs);
    std::vector<WorkerPool*> before{&pools.at(0), &pools.at(1), &pools.at(2)};
    Lease in_y;
    REQUIRE(pools.at(1).pick({}, in_y) == Pick::leased);
    const std::weak_ptr<const PoolSnapshot> y = snapshots[1];

    snapshots = {snapshots[2], snapshots[0], snapshot_of("new")};
    pools.update(snapshots, kHourMs);
    CHECK(&pools.at(0) == before[2]);
    CHECK(&pools.at(1) == before[0]);
    CHECK(pools.at(2).snapshot().config.name == "new");
    loop.run_once(0);
    pools.sweep();
    CHECK_FALSE(y.expired());
    in_y.discard();
    pools.sweep();
    CHECK(y.expired());
}
