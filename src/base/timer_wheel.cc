#include "palier/base/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace palier::base {

void TimerWheel::relink(Timer& timer) {
    timer.unlink();
    if (timer.deadline_ == kNever) return;
    // Beyond the last level's end it goes to the last slot, to be placed again from there.
    const std::uint64_t tick = std::clamp(due_tick(timer.deadline_), next_, next_ + kSpan - 1);
    unsigned level = 0;
    while ((tick - next_) >> (kSlotBits * (level + 1)) != 0)
        ++level;
    const unsigned shift = kSlotBits * level;
    const std::size_t slot = (tick >> shift) % kSlots;
    timer.examined_at_ = tick >> shift << shift;
    levels_[level].slots[slot].push_back(timer);
    levels_[level].marks[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::run_until(std::uint64_t last_tick) {
    PALIER_ASSERT(taken_.empty());
    for (;;) {
        next_ = std::min(next_event(), last_tick + 1);
        if (next_ > last_tick) return;
        run_tick();
    }
}

/// Empties the slot of `level` that begins at next_ into taken_.
IntrusiveList<Timer>& TimerWheel::take_slot(unsigned level) {
    const std::size_t slot = (next_ >> (kSlotBits * level)) % kSlots;
    levels_[level].marks[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    taken_.take_all(levels_[level].slots[slot]);
    return taken_;
}

void TimerWheel::run_tick() {
    for (unsigned level = kLevels - 1; level > 0; --level) {
        if (next_ % (std::uint64_t{1} << (kSlotBits * level)) != 0) continue;
        IntrusiveList<Timer>& timers = take_slot(level);
        while (Timer* timer = timers.front())
            relink(*timer);
    }
    IntrusiveList<Timer>& timers = take_slot(0);
    const std::uint64_t tick = next_++;
    while (Timer* timer = timers.front()) {
        if (due_tick(timer->deadline_) > tick) {
            relink(*timer);  // its deadline was put off
        } else {
            timer->unlink();
            timer->fire_(timer->owner_);
        }
    }
}

/// The first tick, from next_ on, at which a slot with timers begins; kNever if there is none.
std::uint64_t TimerWheel::next_event() {
    std::uint64_t tick = kNever;
    for (unsigned level = 0; level < kLevels; ++level)
        tick = std::min(tick, next_event(level));
    return tick;
}

std::uint64_t TimerWheel::next_event(unsigned level) {
    Level& wheel = levels_[level];
    const unsigned shift = kSlotBits * level;
    const std::uint64_t width = std::uint64_t{1} << shift;
    const std::uint64_t first = (next_ + width - 1) >> shift;  // slots since the clock's zero
    // One round over the marks; the word of the first slot comes twice, for its upper and its lower bits.
    std::uint64_t ahead = 0;
    while (ahead < kSlots) {
        const std::size_t slot = (first + ahead) % kSlots;
        std::uint64_t& marks = wheel.marks[slot / 64];
        const std::uint64_t rest = marks >> (slot % 64);
        if (rest == 0) {
            ahead += 64 - slot % 64;
            continue;
        }
        ahead += static_cast<unsigned>(std::countr_zero(rest));
        if (ahead >= kSlots) break;
        const std::size_t found = (first + ahead) % kSlots;
        if (!wheel.slots[found].empty()) return (first + ahead) << shift;
        marks &= ~(std::uint64_t{1} << (found % 64));
    }
    return kNever;
}

std::uint64_t TimerWheel::next_wake(std::uint64_t now_ms) {
    const std::uint64_t tick = next_event();
    if (tick == kNever) return kNever;
    return tick * kTickMs > now_ms ? tick * kTickMs - now_ms : 0;
}

void TimerWheel::validate() {
    for (unsigned level = 0; level < kLevels; ++level) {
        const unsigned shift = kSlotBits * level;
        for (std::size_t slot = 0; slot < kSlots; ++slot) {
            IntrusiveList<Timer>& timers = levels_[level].slots[slot];
            const bool marked = (levels_[level].marks[slot / 64] >> (slot % 64) & 1) != 0;
            PALIER_ASSERT(timers.empty() || marked);
            for (Timer* timer = timers.front(); timer != nullptr; timer = timers.next(timer)) {
                PALIER_ASSERT(timer->examined_at_ >= next_);
                PALIER_ASSERT(timer->examined_at_ - next_ < kSlots << shift);
                PALIER_ASSERT((timer->examined_at_ >> shift) % kSlots == slot);
                PALIER_ASSERT(timer->examined_at_ % (std::uint64_t{1} << shift) == 0);
                PALIER_ASSERT(timer->examined_at_ <= std::max(due_tick(timer->deadline_), next_));
            }
        }
    }
}

}  // namespace palier::base
