// Timers that live in their owner and a hierarchical wheel that fires them: arming, moving and disarming cost
// O(1), and putting a deadline off, which every read and write does, costs one store.
// Deadlines are milliseconds of whatever clock advance() is given. A timer never fires early, and at most one
// tick (16 ms) later than the first advance() that could have fired it.
// Thread: worker only. Owner: the wheel belongs to the worker; a timer to its connection, and may die before
// or after the wheel.
#pragma once

#include "palier/base/intrusive_list.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace palier::base {

class Timer : private ListLink<Timer> {
  public:
    static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

    /// `fire(owner)` is called once for each time the timer comes due; it is disarmed by then.
    Timer(void (*fire)(void* owner), void* owner) : fire_(fire), owner_(owner) {}

    /// `Timer timer_ = Timer::calling<&Connection::on_deadline>(this);`
    template <auto Method, typename Owner>
    [[nodiscard]] static Timer calling(Owner* owner) {
        return Timer([](void* object) { (static_cast<Owner*>(object)->*Method)(); }, owner);
    }

    [[nodiscard]] bool armed() const { return linked(); }
    /// When it is due, in milliseconds; kNever when it is not armed.
    [[nodiscard]] std::uint64_t deadline() const { return armed() ? deadline_ : kNever; }

  private:
    friend class TimerWheel;
    friend class IntrusiveList<Timer>;

    std::uint64_t deadline_ = kNever;
    std::uint64_t examined_at_ = 0;  // the tick at which the wheel will look at it; not after the deadline's
    void (*fire_)(void* owner);
    void* owner_;
};
static_assert(sizeof(Timer) <= 48);

/// Level 0 has a slot for each of the next 256 ticks, each further level slots 256 times as wide. A timer
/// goes to the narrowest slot that can hold it, is looked at when that slot's time begins, and then fires or
/// moves on.
class TimerWheel {
  public:
    static constexpr std::uint64_t kTickMs = 16;
    static constexpr std::uint64_t kNever = Timer::kNever;

    explicit TimerWheel(std::uint64_t now_ms) : next_(now_ms / kTickMs + 1) {}
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    /// Arms the timer, or moves its deadline. A deadline in the past is due at the next tick; kNever disarms.
    void arm(Timer& timer, std::uint64_t deadline_ms) {
        timer.deadline_ = deadline_ms;
        if (timer.linked() && due_tick(deadline_ms) >= timer.examined_at_ && deadline_ms != kNever) return;
        relink(timer);
    }

    /// May be called for a timer that is not armed.
    static void disarm(Timer& timer) { timer.unlink(); }

    /// Fires every timer that is due. Callbacks may arm, disarm and destroy any timer, their own included,
    /// but neither call advance() nor destroy the wheel.
    void advance(std::uint64_t now_ms) {
        if (next_ <= now_ms / kTickMs) run_until(now_ms / kTickMs);
    }

    /// Milliseconds from `now_ms` until advance() may have something to do: never too long, at times too
    /// short; kNever when no timer is armed.
    [[nodiscard]] std::uint64_t next_wake(std::uint64_t now_ms);

    /// Asserts that every timer is where it can be found in time; for tests.
    void validate();

  private:
    static constexpr unsigned kSlotBits = 8;
    static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;
    static constexpr unsigned kLevels = 3;
    static constexpr std::uint64_t kSpan = std::uint64_t{1} << (kSlotBits * kLevels);  // ticks; 74 hours

    struct Level {
        std::array<IntrusiveList<Timer>, kSlots> slots;
        // A bit for each slot that got a timer; the timer may have left since.
        std::array<std::uint64_t, kSlots / 64> marks{};
    };

    /// The first tick at which `deadline_ms` has passed.
    static std::uint64_t due_tick(std::uint64_t deadline_ms) {
        return deadline_ms / kTickMs + (deadline_ms % kTickMs != 0 ? 1 : 0);
    }

    void relink(Timer& timer);
    void run_until(std::uint64_t last_tick);
    void run_tick();
    [[nodiscard]] IntrusiveList<Timer>& take_slot(unsigned level);
    [[nodiscard]] std::uint64_t next_event();
    [[nodiscard]] std::uint64_t next_event(unsigned level);

    std::array<Level, kLevels> levels_;
    IntrusiveList<Timer> taken_;  // what is being looked at
    std::uint64_t next_;          // the first tick that has not been run
};

}  // namespace palier::base
