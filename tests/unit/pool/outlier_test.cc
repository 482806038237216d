#include "palier/pool/outlier.h"

#include "catch.h"
#include "pool_fixture.h"

#include <thread>

using namespace palier::pool;
using namespace palier::test;

namespace {

constexpr std::uint64_t kNow = 1'000'000;
constexpr std::uint64_t kBackoff = 5'000;

/// Servers a, b, c, …; three failures in a row eject.
struct Crowd {
    explicit Crowd(std::size_t servers, std::uint32_t max_ejected = 50, std::uint32_t failures = 3)
        : shared(configured(servers, max_ejected, failures)) {
        palier::base::log_start(palier::base::LogLevel::error);
    }

    static palier::config::PoolConfig configured(std::size_t servers, std::uint32_t max_ejected,
                                                 std::uint32_t failures) {
        std::vector<ServerSpec> specs;
        for (std::size_t i = 0; i < servers; ++i)
            specs.push_back({.name = std::string(1, static_cast<char>('a' + i))});
        auto pool = pool_of(specs);
        pool.outlier.failures = failures;
        pool.outlier.backoff = palier::config::Duration(kBackoff);
        pool.outlier.max_ejected = max_ejected;
        return pool;
    }

    void fail(const std::string& name, int times = 1, std::uint64_t now = kNow, bool trial = false) const {
        for (int i = 0; i < times; ++i)
            report_failure(*shared.snapshot, shared.server(name), trial, "refused", now);
    }
    void succeed(const std::string& name, std::uint64_t now = kNow, bool trial = false) const {
        report_success(*shared.snapshot, shared.server(name), trial, now);
    }
    [[nodiscard]] std::uint64_t until(const std::string& name) const {
        return shared.state(name).ejected_until_ms.load();
    }
    [[nodiscard]] std::uint64_t version() const { return shared.snapshot->state->version.load(); }

    SharedPool shared;
};

}  // namespace

TEST_CASE("failures in a row eject, and the pool's version moves") {
    const Crowd crowd(2);
    const std::uint64_t before = crowd.version();
    crowd.fail("a", 2);
    CHECK(crowd.until("a") == 0);
    CHECK(crowd.version() == before);
    crowd.fail("a");
    CHECK(crowd.until("a") == kNow + kBackoff);
    CHECK(crowd.version() > before);
    CHECK(crowd.until("b") == 0);
}

TEST_CASE("a success in between starts the count again") {
    const Crowd crowd(2);
    for (int i = 0; i < 5; ++i) {
        crowd.fail("a", 2);
        crowd.succeed("a");
    }
    CHECK(crowd.until("a") == 0);
    CHECK(crowd.shared.state("a").failures_in_row.load() == 0);
}

TEST_CASE("with failures = 0 nothing is ever ejected") {
    const Crowd crowd(2, 100, 0);
    crowd.fail("a", 1'000);
    crowd.fail("a", 1, kNow, true);
    CHECK(crowd.until("a") == 0);
}

TEST_CASE("failures during an ejection, of exchanges that began before it, do not prolong it") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    crowd.fail("a", 10, kNow + 100);
    CHECK(crowd.until("a") == kNow + kBackoff);
}

TEST_CASE("a failed trial doubles the back-off, ten times at most") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    std::uint64_t now = kNow;
    std::uint64_t expected = kBackoff;
    for (int trial = 1; trial <= 13; ++trial) {
        now = crowd.until("a");
        crowd.shared.state("a").on_trial.store(true);
        crowd.fail("a", 1, now, true);
        expected = kBackoff << std::min(trial, 10);
        CHECK(crowd.until("a") == now + expected);
        CHECK_FALSE(crowd.shared.state("a").on_trial.load());
    }
}

TEST_CASE("a good trial brings the server back") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    crowd.shared.state("a").on_trial.store(true);
    const std::uint64_t before = crowd.version();
    crowd.succeed("a", kNow + kBackoff, true);
    CHECK(crowd.until("a") == 0);
    CHECK_FALSE(crowd.shared.state("a").on_trial.load());
    CHECK(crowd.version() > before);
    CHECK(crowd.shared.state("a").slow_start_from_ms.load() == 0);
}

TEST_CASE("a success that is no trial does not end an ejection") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    crowd.succeed("a", kNow + 1);
    CHECK(crowd.until("a") == kNow + kBackoff);
}

TEST_CASE("the return of a server with slow_start begins it") {
    auto config = pool_of({{.name = "a", .slow_start_ms = 10'000}, {.name = "b"}});
    const SharedPool shared(config);
    shared.eject("a", kNow);
    report_success(*shared.snapshot, shared.server("a"), true, kNow);
    CHECK(shared.state("a").slow_start_from_ms.load() == kNow);
    report_success(*shared.snapshot, shared.server("a"), false, kNow + 1);
    CHECK(shared.state("a").slow_start_from_ms.load() == kNow);
}

TEST_CASE("a relapse soon after the return goes on doubling, a later one starts anew") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    const std::uint64_t returned = kNow + kBackoff;
    crowd.succeed("a", returned, true);
    SECTION("within as long as it was out") {
        crowd.fail("a", 3, returned + kBackoff);
        CHECK(crowd.until("a") == returned + kBackoff + 2 * kBackoff);
    }
    SECTION("after that") {
        crowd.fail("a", 3, returned + kBackoff + 1);
        CHECK(crowd.until("a") == returned + kBackoff + 1 + kBackoff);
    }
}

TEST_CASE("how many may be out at once") {
    CHECK(max_ejections(0, 100) == 0);
    CHECK(max_ejections(1, 100) == 0);
    CHECK(max_ejections(2, 50) == 1);
    CHECK(max_ejections(2, 49) == 0);
    CHECK(max_ejections(2, 100) == 2);
    CHECK(max_ejections(3, 50) == 1);
    CHECK(max_ejections(3, 67) == 2);
    CHECK(max_ejections(4, 50) == 2);
    CHECK(max_ejections(10, 0) == 0);
    CHECK(max_ejections(1'000, 33) == 330);
}

TEST_CASE("one of two at 50 per cent, and the other only when the first is back") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    crowd.fail("b", 10);
    CHECK(crowd.until("a") != 0);
    CHECK(crowd.until("b") == 0);
    crowd.succeed("a", kNow + kBackoff, true);
    crowd.fail("b", 1, kNow + kBackoff);
    CHECK(crowd.until("b") == kNow + 2 * kBackoff);
}

TEST_CASE("a pool's only server is never ejected") {
    const Crowd crowd(1, 100);
    crowd.fail("a", 1'000);
    CHECK(crowd.until("a") == 0);
}

TEST_CASE("at 100 per cent the whole pool may be out") {
    const Crowd crowd(3, 100);
    for (const char* name : {"a", "b", "c"})
        crowd.fail(name, 3);
    for (const char* name : {"a", "b", "c"})
        CHECK(crowd.until(name) != 0);
}

TEST_CASE("a trial that was given up may be taken by another") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    crowd.shared.state("a").on_trial.store(true);
    const std::uint64_t before = crowd.version();
    abandon_trial(*crowd.shared.snapshot, crowd.shared.server("a"));
    CHECK_FALSE(crowd.shared.state("a").on_trial.load());
    CHECK(crowd.until("a") == kNow + kBackoff);
    CHECK(crowd.version() > before);
}

TEST_CASE("workers that report at once eject no more than is allowed") {
    for (int round = 0; round < 200; ++round) {
        const Crowd crowd(4, 50, 1);
        std::vector<std::thread> threads;
        for (const char* name : {"a", "b", "c", "d"})
            threads.emplace_back([&crowd, name] { crowd.fail(name, 5); });
        for (std::thread& thread : threads)
            thread.join();
        int out = 0;
        for (const char* name : {"a", "b", "c", "d"})
            out += crowd.until(name) != 0 ? 1 : 0;
        REQUIRE(out <= 2);
    }
}

TEST_CASE("workers that report at once eject a server once") {
    for (int round = 0; round < 200; ++round) {
        const Crowd crowd(2, 50, 1);
        std::vector<std::thread> threads;
        for (int worker = 0; worker < 4; ++worker)
            threads.emplace_back([&crowd] { crowd.fail("a", 5); });
        for (std::thread& thread : threads)
            thread.join();
        REQUIRE(crowd.until("a") == kNow + kBackoff);
        REQUIRE(crowd.shared.state("a").ejections_in_row.load() == 1);
    }
}

TEST_CASE("a server that probes hold down counts among those that are out") {
    const Crowd crowd(4);  // two may be out
    crowd.shared.state("b").held_down.store(true);
    crowd.fail("a", 3);
    CHECK(crowd.until("a") != 0);
    crowd.fail("c", 3);
    CHECK(crowd.until("c") == 0);
    crowd.shared.state("b").held_down.store(false);
    crowd.fail("c", 1);
    CHECK(crowd.until("c") != 0);
}

TEST_CASE("an ejection that a probe ends is over for the trial too") {
    const Crowd crowd(2);
    crowd.fail("a", 3);
    crowd.shared.state("a").on_trial.store(true);
    end_ejection(*crowd.shared.snapshot, crowd.shared.server("a"), "a probe succeeded", kNow + 1);
    CHECK(crowd.until("a") == 0);
    CHECK_FALSE(crowd.shared.state("a").on_trial.load());
    const std::uint64_t before = crowd.version();
    crowd.succeed("a", kNow + 2, true);
    CHECK(crowd.version() == before);
}

namespace {

/// Two servers, of which more than a third of at least ten requests in ten seconds may not fail.
struct RatedCrowd {
    RatedCrowd() : shared(configured()) { palier::base::log_start(palier::base::LogLevel::error); }

    static palier::config::PoolConfig configured() {
        auto pool = Crowd::configured(2, 50, 0);
        pool.outlier.error_rate = 33;
        pool.outlier.min_requests = 10;
        pool.outlier.window = palier::config::Duration(10'000);
        return pool;
    }
    /// One exchange with server a, as a lease reports it.
    void exchange(bool well, std::uint64_t now) const {
        WorkerCounters& counters = shared.state("a").counters[0];
        WorkerCounters::add<std::uint64_t>(counters.exchanges, 1);
        WorkerCounters::add<std::uint32_t>(counters.in_flight, 1);
        if (well) {
            report_success(*shared.snapshot, shared.server("a"), false, now);
        } else {
            WorkerCounters::add<std::uint64_t>(counters.failures, 1);
            report_failure(*shared.snapshot, shared.server("a"), false, "HTTP 503", now);
        }
        WorkerCounters::add<std::uint32_t>(counters.in_flight, static_cast<std::uint32_t>(-1));
    }
    [[nodiscard]] bool ejected() const { return shared.state("a").ejected_until_ms.load() != 0; }

    SharedPool shared;
};

}  // namespace

TEST_CASE("an error rate ejects once there were enough requests") {
    const RatedCrowd crowd;
    for (int i = 0; i < 100; ++i)
        crowd.exchange(true, kNow);
    // Every third request fails: one of 1, of 4, of 7, and four of ten are the first to count.
    for (int i = 0; i < 9; ++i) {
        crowd.exchange(i % 3 != 0, kNow);
        CHECK_FALSE(crowd.ejected());
    }
    crowd.exchange(false, kNow);
    CHECK(crowd.ejected());
}

TEST_CASE("an error rate below the limit ejects nobody, however long it lasts") {
    const RatedCrowd crowd;
    for (int i = 0; i < 400; ++i)
        crowd.exchange(i % 4 != 0, kNow + static_cast<std::uint64_t>(i) * 10);
    CHECK_FALSE(crowd.ejected());
}

TEST_CASE("an error rate's window ends, and failures before it are forgotten") {
    const RatedCrowd crowd;
    for (int i = 0; i < 9; ++i)
        crowd.exchange(false, kNow);
    CHECK_FALSE(crowd.ejected());
    crowd.exchange(false, kNow + 10'001);
    CHECK_FALSE(crowd.ejected());
    for (int i = 0; i < 9; ++i)
        crowd.exchange(false, kNow + 10'002);
    CHECK(crowd.ejected());
}

TEST_CASE("failures whose exchanges still go on count as requests too") {
    const RatedCrowd crowd;
    WorkerCounters& counters = crowd.shared.state("a").counters[0];
    for (int i = 0; i < 10; ++i) {
        CHECK_FALSE(crowd.ejected());
        WorkerCounters::add<std::uint64_t>(counters.exchanges, 1);
        WorkerCounters::add<std::uint32_t>(counters.in_flight, 1);
        WorkerCounters::add<std::uint64_t>(counters.failures, 1);
        report_failure(*crowd.shared.snapshot, crowd.shared.server("a"), false, "HTTP 500", kNow);
    }
    CHECK(crowd.ejected());
}
