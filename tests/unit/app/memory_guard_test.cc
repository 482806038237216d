#include "app/memory_guard.h"

#include "catch.h"
#include "net/loop_fixture.h"

#include <vector>

using namespace palier;
using namespace palier::app;
using palier::test::run_until;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kLimit = 1'000'000'000;

Pressure after(std::uint64_t per_cent, Pressure before) {
    return pressure_at({.limit = kLimit, .used = kLimit / 100 * per_cent}, before);
}

Pressure with_left(std::uint64_t limit, std::uint64_t left, Pressure before) {
    return pressure_at({.limit = limit, .used = limit - left}, before);
}

/// A guard whose memory is a number.
struct Guarded {
    Guarded() {
        guard.measure_by([this] { return memory; });
    }
    void use(std::uint64_t used) { memory = Cgroup::Memory{.limit = kLimit, .used = used}; }

    net::Loop loop;
    std::optional<Cgroup::Memory> memory = Cgroup::Memory{.limit = kLimit, .used = 10};
    std::vector<Pressure> told;
    MemoryGuard guard{loop, [this](Pressure pressure) { told.push_back(pressure); }};
};

}  // namespace

TEST_CASE("pressure comes at 90 and 95 per cent and goes five below") {
    CHECK(after(89, Pressure::none) == Pressure::none);
    CHECK(after(90, Pressure::none) == Pressure::soft);
    CHECK(after(94, Pressure::soft) == Pressure::soft);
    CHECK(after(95, Pressure::none) == Pressure::hard);
    CHECK(after(150, Pressure::soft) == Pressure::hard);
    CHECK(after(90, Pressure::hard) == Pressure::hard);
    CHECK(after(89, Pressure::hard) == Pressure::soft);
    CHECK(after(85, Pressure::soft) == Pressure::soft);
    CHECK(after(84, Pressure::soft) == Pressure::none);
    CHECK(after(84, Pressure::hard) == Pressure::none);
}

TEST_CASE("in a small limit pressure comes with few MiB left") {
    CHECK(with_left(64 * kMiB, 12 * kMiB + 1, Pressure::none) == Pressure::none);
    CHECK(with_left(64 * kMiB, 12 * kMiB, Pressure::none) == Pressure::soft);
    CHECK(with_left(64 * kMiB, 8 * kMiB + 1, Pressure::soft) == Pressure::soft);
    CHECK(with_left(64 * kMiB, 8 * kMiB, Pressure::soft) == Pressure::hard);
    CHECK(with_left(64 * kMiB, 12 * kMiB, Pressure::hard) == Pressure::hard);
    CHECK(with_left(64 * kMiB, 12 * kMiB + 1, Pressure::hard) == Pressure::soft);
    CHECK(with_left(64 * kMiB, 16 * kMiB, Pressure::soft) == Pressure::soft);
    CHECK(with_left(64 * kMiB, 16 * kMiB + 1, Pressure::soft) == Pressure::none);

    SECTION("and in a tiny one with that part of it") {
        CHECK(with_left(16 * kMiB, 3 * kMiB + 1, Pressure::none) == Pressure::none);
        CHECK(with_left(16 * kMiB, 3 * kMiB, Pressure::none) == Pressure::soft);
        CHECK(with_left(16 * kMiB, 2 * kMiB, Pressure::none) == Pressure::hard);
        CHECK(with_left(16 * kMiB, 16 * kMiB, Pressure::none) == Pressure::none);
    }
    SECTION("more than is granted is hard too") {
        CHECK(pressure_at({.limit = 64 * kMiB, .used = 65 * kMiB}, Pressure::none) == Pressure::hard);
    }
}

TEST_CASE("workers are told of pressure again and again, and of its end once") {
    Guarded guarded;
    CHECK(guarded.told.empty());
    guarded.use(960'000'000);
    CHECK(run_until(guarded.loop, [&] { return guarded.told.size() >= 3; }));
    CHECK(guarded.told.back() == Pressure::hard);
    guarded.use(870'000'000);
    CHECK(run_until(guarded.loop, [&] { return guarded.guard.pressure() == Pressure::soft; }));
    guarded.use(500'000'000);
    CHECK(run_until(guarded.loop, [&] { return guarded.guard.pressure() == Pressure::none; }));
    const std::size_t all = guarded.told.size();
    CHECK(guarded.told.back() == Pressure::none);
    guarded.use(600'000'000);
    CHECK(run_until(guarded.loop, [&] { return guarded.guard.memory()->used == 600'000'000; }));
    CHECK(guarded.told.size() == all);
    CHECK(guarded.guard.shortages() == 1);

    SECTION("a second one is counted") {
        guarded.use(910'000'000);
        CHECK(run_until(guarded.loop, [&] { return guarded.guard.shortages() == 2; }));
    }
    SECTION("a limit that goes takes the pressure with it") {
        guarded.use(990'000'000);
        CHECK(run_until(guarded.loop, [&] { return guarded.guard.pressure() == Pressure::hard; }));
        guarded.memory.reset();
        CHECK(run_until(guarded.loop, [&] { return guarded.guard.pressure() == Pressure::none; }));
    }
    SECTION("so does one that is switched off") {
        guarded.use(990'000'000);
        CHECK(run_until(guarded.loop, [&] { return guarded.guard.pressure() == Pressure::hard; }));
        guarded.guard.limit_to({.kind = config::MemoryLimit::Kind::off, .bytes = 0});
        CHECK(guarded.guard.pressure() == Pressure::none);
        CHECK(guarded.told.back() == Pressure::none);
    }
}

TEST_CASE("a size is compared with this process's own memory") {
    net::Loop loop;
    MemoryGuard guard(loop, [](Pressure) {});
    guard.limit_to({.kind = config::MemoryLimit::Kind::size, .bytes = std::uint64_t{1} << 40});
    REQUIRE(guard.memory());
    CHECK(guard.memory()->used > 100'000);
    CHECK(guard.pressure() == Pressure::none);
    guard.limit_to({.kind = config::MemoryLimit::Kind::size, .bytes = 100'000});
    CHECK(guard.pressure() == Pressure::hard);
}
