#include "health/rhythm.h"

#include "catch.h"
#include "palier/base/timer_wheel.h"

#include <algorithm>
#include <random>
#include <vector>

using namespace palier;
using namespace palier::health;
using config::Duration;

namespace {

constexpr Duration kInterval{2'000};
constexpr std::uint64_t kTick = base::TimerWheel::kTickMs;

/// Starts of probes that take `length` ms, as a wheel fires them: at a tick, never early.
std::vector<std::uint64_t> starts(const Rhythm& rhythm, std::uint64_t first, int count,
                                  std::uint64_t length = 1) {
    std::minstd_rand random(7);
    std::uniform_real_distribution<> chance(0, 1);
    std::vector<std::uint64_t> all{first};
    while (static_cast<int>(all.size()) < count) {
        const std::uint64_t at =
            rhythm.next(all.back(), all.back() + length, kInterval, true, chance(random));
        all.push_back((at + kTick - 1) / kTick * kTick);
    }
    return all;
}

/// With an address of its own.
Rhythm alone(double chance) {
    Rhythm rhythm;
    rhythm.take_place(0, 1, chance);
    return rhythm;
}

}  // namespace

TEST_CASE("from start to start it is never more than the interval and hardly less than nine tenths") {
    const Rhythm rhythm = alone(0.3);
    const auto all = starts(rhythm, 1'000'003, 2'000);
    std::uint64_t shortest = kInterval.count();
    std::uint64_t longest = 0;
    for (std::size_t i = 2; i < all.size(); ++i) {  // the first finds its beat
        shortest = std::min(shortest, all[i] - all[i - 1]);
        longest = std::max(longest, all[i] - all[i - 1]);
    }
    CHECK(all[1] - all[0] <= 2'000);
    CHECK(longest <= 2'000);
    CHECK(shortest >= 1'800 - kTick);
    CHECK(longest - shortest > 100);  // there is chance in it
}

TEST_CASE("servers at one address keep their turns, whenever they began") {
    std::vector<std::vector<std::uint64_t>> all;
    for (std::size_t place = 0; place < 4; ++place) {
        Rhythm rhythm;
        rhythm.take_place(place, 4, 0.5);
        all.push_back(starts(rhythm, 50'000 + 37 * place, 500));
    }
    // After hundreds of probes each still has the quarter of the beat that is its own.
    for (std::size_t place = 0; place < 4; ++place) {
        for (std::size_t i = 300; i < 500; ++i) {
            const double within = static_cast<double>(all[place][i] % 1'900) / 1'900;
            const double own = (static_cast<double>(place) + 0.5) / 4;
            CHECK(within >= own - 0.01);
            CHECK(within <= own + 0.07);
        }
    }
}

TEST_CASE("a probe that is still under way when its next is due delays it, no more") {
    const Rhythm rhythm = alone(0.0);
    CHECK(rhythm.next(1'900, 9'999, kInterval, true, 0.5) == 9'999);
    CHECK(rhythm.next(1'900, 9'999, kInterval, false, 0.5) == 9'999);
}

TEST_CASE("while a change is confirmed the next start follows from the last") {
    const Rhythm rhythm = alone(0.77);
    CHECK(rhythm.next(10'000, 10'000, kInterval, false, 0.0) == 11'800);
    const auto latest = rhythm.next(10'000, 10'000, kInterval, false, 0.999);
    CHECK(latest <= 12'000 - kTick);
    CHECK(latest > 11'950);
}

TEST_CASE("the shortest intervals still move on") {
    const Rhythm rhythm = alone(0.5);
    std::uint64_t at = 100;
    for (int i = 0; i < 100; ++i) {
        const auto next = rhythm.next(at, at, Duration(10), true, 0.99);
        CHECK(next <= at + 10);
        at = next + kTick;
    }
    CHECK(rhythm.next(3, 3, Duration(1), true, 0.0) <= 4);
}

TEST_CASE("a probe on its beat is not followed by another on the same") {
    // So short that nothing is left to chance, with beats between the clock's milliseconds.
    for (int i = 0; i < 1'000; ++i) {
        const Rhythm rhythm = alone(i / 1'000.0);
        for (const std::uint64_t from : {1'000'000U, 1'000'003U}) {
            const auto first = rhythm.next(from, from, Duration(300), true, 0.5);
            const auto second = rhythm.next(first, first, Duration(300), true, 0.5);
            CHECK(second - first >= 270);
            CHECK(second - first <= 300);
        }
    }
}
