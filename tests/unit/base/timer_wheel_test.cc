#include "palier/base/timer_wheel.h"

#include "catch.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

using palier::base::Timer;
using palier::base::TimerWheel;

namespace {

constexpr std::uint64_t kTick = TimerWheel::kTickMs;

/// Counts its expirations, and may do more when it expires.
struct Alarm {
    int fired = 0;
    void (*then)(Alarm&) = nullptr;
    void* with = nullptr;
    Timer timer = Timer::calling<&Alarm::expired>(this);

    void expired() {
        ++fired;
        if (then != nullptr) then(*this);
    }
};

}  // namespace

TEST_CASE("a timer fires once, never early and at most a tick late") {
    const std::uint64_t start = GENERATE(as<std::uint64_t>{}, 0, 7, 16, 4095, 1'000'003, 123'456'789'012);
    const std::uint64_t delay = GENERATE(as<std::uint64_t>{}, 0, 1, 15, 16, 17, 4'079, 4'096, 4'097, 70'000,
                                         1'048'576, 1'048'600, 3'600'000, 86'400'000, 604'800'000);
    TimerWheel wheel(start);
    Alarm alarm;
    wheel.arm(alarm.timer, start + delay);
    wheel.validate();
    CHECK(alarm.timer.armed());
    CHECK(alarm.timer.deadline() == start + delay);
    if (delay > 0) wheel.advance(start + delay - 1);
    CHECK(alarm.fired == 0);
    wheel.validate();
    wheel.advance(start + delay + kTick);
    CHECK(alarm.fired == 1);
    CHECK_FALSE(alarm.timer.armed());
    CHECK(alarm.timer.deadline() == TimerWheel::kNever);
    wheel.advance(start + 3 * delay + 100'000);
    CHECK(alarm.fired == 1);
}

TEST_CASE("a deadline in the past is due at the next tick") {
    TimerWheel wheel(10'000);
    Alarm alarm;
    wheel.arm(alarm.timer, 3);
    CHECK(alarm.fired == 0);
    wheel.advance(10'000 + kTick);
    CHECK(alarm.fired == 1);
}

TEST_CASE("a deadline may be put off and brought forward") {
    TimerWheel wheel(0);
    Alarm alarm;
    wheel.arm(alarm.timer, 1'000);
    for (std::uint64_t now = 0; now < 50'000; now += 500) {
        wheel.arm(alarm.timer, now + 1'000);
        wheel.advance(now);
        wheel.validate();
    }
    CHECK(alarm.fired == 0);
    CHECK(alarm.timer.deadline() == 50'500);
    wheel.arm(alarm.timer, 49'600);
    wheel.advance(49'599);
    CHECK(alarm.fired == 0);
    wheel.advance(49'600 + kTick);
    CHECK(alarm.fired == 1);
}

TEST_CASE("putting a deadline off leaves the timer in its slot until that comes") {
    TimerWheel wheel(0);
    Alarm alarm;
    wheel.arm(alarm.timer, 1'000);
    const std::uint64_t wake = wheel.next_wake(0);
    wheel.arm(alarm.timer, 60'000);
    CHECK(wheel.next_wake(0) == wake);
    wheel.advance(1'008);
    CHECK(alarm.fired == 0);
    CHECK(wheel.next_wake(1'008) > 10'000);
    wheel.advance(60'000);
    CHECK(alarm.fired == 1);
}

TEST_CASE("a disarmed timer does not fire") {
    TimerWheel wheel(0);
    Alarm alarm;
    TimerWheel::disarm(alarm.timer);
    wheel.arm(alarm.timer, 100);
    TimerWheel::disarm(alarm.timer);
    TimerWheel::disarm(alarm.timer);
    CHECK_FALSE(alarm.timer.armed());
    CHECK(wheel.next_wake(0) == TimerWheel::kNever);
    wheel.advance(1'000);
    wheel.arm(alarm.timer, 2'000);
    wheel.arm(alarm.timer, TimerWheel::kNever);
    CHECK_FALSE(alarm.timer.armed());
    wheel.advance(10'000);
    CHECK(alarm.fired == 0);
}

TEST_CASE("a timer may die armed, and may outlive the wheel") {
    auto wheel = std::make_unique<TimerWheel>(0);
    auto dying = std::make_unique<Alarm>();
    Alarm survivor;
    wheel->arm(dying->timer, 100);
    wheel->arm(survivor.timer, 100);
    dying.reset();
    wheel->validate();
    wheel->advance(200);
    CHECK(survivor.fired == 1);
    wheel->arm(survivor.timer, 500);
    wheel.reset();
    CHECK_FALSE(survivor.timer.armed());
}

TEST_CASE("a callback may arm its own timer again") {
    TimerWheel wheel(0);
    Alarm alarm;
    alarm.with = &wheel;
    alarm.then = [](Alarm& self) {
        static_cast<TimerWheel*>(self.with)->arm(self.timer, static_cast<std::uint64_t>(self.fired) * 1'000);
    };
    wheel.arm(alarm.timer, 0);
    wheel.advance(4'999);  // one late advance catches up with 0, 1000, 2000, 3000 and 4000
    CHECK(alarm.fired == 5);
    CHECK(alarm.timer.deadline() == 5'000);
}

TEST_CASE("a callback that arms for a time already past does not hold up its tick") {
    TimerWheel wheel(0);
    Alarm alarm;
    alarm.with = &wheel;
    alarm.then = [](Alarm& self) { static_cast<TimerWheel*>(self.with)->arm(self.timer, 0); };
    wheel.arm(alarm.timer, 0);
    wheel.advance(kTick);
    CHECK(alarm.fired == 1);
    wheel.advance(2 * kTick);
    CHECK(alarm.fired == 2);
}

TEST_CASE("a callback may destroy its own timer and others that are due with it") {
    TimerWheel wheel(0);
    std::vector<std::unique_ptr<Alarm>> alarms;
    static int fired;
    fired = 0;
    for (int i = 0; i < 3; ++i) {
        alarms.push_back(std::make_unique<Alarm>());
        alarms.back()->with = &alarms;
        alarms.back()->then = [](Alarm& self) {
            ++fired;
            static_cast<std::vector<std::unique_ptr<Alarm>>*>(self.with)->clear();
        };
        wheel.arm(alarms.back()->timer, 100);
    }
    wheel.advance(200);
    CHECK(fired == 1);
    CHECK(alarms.empty());
    wheel.validate();
}

TEST_CASE("a callback may put off, disarm and bring forward others that are due with it") {
    TimerWheel wheel(0);
    struct Group {
        TimerWheel& wheel;
        Alarm first, put_off, disarmed, brought_forward;
    } group{wheel, {}, {}, {}, {}};
    group.first.with = &group;
    group.first.then = [](Alarm& self) {
        auto& others = *static_cast<Group*>(self.with);
        others.wheel.arm(others.put_off.timer, 300);
        TimerWheel::disarm(others.disarmed.timer);
        others.wheel.arm(others.brought_forward.timer, 128);
    };
    wheel.arm(group.first.timer, 100);
    wheel.arm(group.put_off.timer, 100);
    wheel.arm(group.disarmed.timer, 100);
    wheel.arm(group.brought_forward.timer, 5'000'000);
    wheel.advance(112);
    CHECK(group.first.fired == 1);
    CHECK(group.brought_forward.fired == 0);
    wheel.advance(128);
    CHECK(group.brought_forward.fired == 1);
    CHECK(group.put_off.fired == 0);
    wheel.advance(304);
    CHECK(group.put_off.fired == 1);
    CHECK(group.disarmed.fired == 0);
}

TEST_CASE("sleeping for next_wake misses no deadline") {
    const std::uint64_t delay = GENERATE(as<std::uint64_t>{}, 1, 100, 4'100, 70'000, 3'600'000, 604'800'000);
    TimerWheel wheel(500);
    CHECK(wheel.next_wake(500) == TimerWheel::kNever);
    Alarm alarm;
    wheel.arm(alarm.timer, 500 + delay);
    std::uint64_t now = 500;
    int wakes = 0;
    while (alarm.fired == 0) {
        const std::uint64_t sleep = wheel.next_wake(now);
        REQUIRE(sleep != TimerWheel::kNever);
        now += sleep;
        wheel.advance(now);
        ++wakes;
    }
    CHECK(now >= 500 + delay);
    CHECK(now < 500 + delay + kTick);
    CHECK(wakes <= 6);
    CHECK(wheel.next_wake(now) == TimerWheel::kNever);
}

TEST_CASE("random use agrees with a sorted map of deadlines") {
    const unsigned seed = GENERATE(1U, 2U, 3U, 4U);
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t limit) { return random() % limit; };

    std::uint64_t now = below(1ULL << 40);
    TimerWheel wheel(now);
    constexpr std::size_t kTimers = 200;
    std::vector<Alarm> alarms(kTimers);
    std::multimap<std::uint64_t, std::size_t> model;
    std::vector<int> expected(kTimers, 0);
    const auto forget = [&](std::size_t index) {
        std::erase_if(model, [index](const auto& entry) { return entry.second == index; });
    };
    // From a few milliseconds to beyond the wheel's last level.
    const auto span = [&] { return below(1ULL << (4 + below(26))); };

    for (int step = 0; step < 20'000; ++step) {
        const std::size_t index = below(kTimers);
        switch (below(8)) {
            case 0:
                TimerWheel::disarm(alarms[index].timer);
                forget(index);
                break;
            case 1: {
                now += below(10) == 0 ? span() : below(100);
                wheel.advance(now);
                // A tick's granularity apart, exactly the deadlines that have passed have fired.
                while (!model.empty() && model.begin()->first <= now / kTick * kTick) {
                    ++expected[model.begin()->second];
                    model.erase(model.begin());
                }
                break;
            }
            default: {
                // Deadlines are armed from the next tick on, so that the model needs no rule for the past.
                const std::uint64_t deadline = now / kTick * kTick + 1 + span();
                wheel.arm(alarms[index].timer, deadline);
                forget(index);
                model.emplace(deadline, index);
            }
        }
        if (step % 16 == 0) wheel.validate();
        for (std::size_t i = 0; i < kTimers; ++i) {
            if (alarms[i].fired != expected[i])
                FAIL("timer " << i << " at step " << step << ", seed " << seed);
        }
        if (!model.empty()) {
            const std::uint64_t due = (model.begin()->first + kTick - 1) / kTick * kTick;
            if (wheel.next_wake(now) > due - std::min(due, now))
                FAIL("overslept at step " << step << ", seed " << seed);
        } else {
            REQUIRE(wheel.next_wake(now) == TimerWheel::kNever);
        }
    }
}
