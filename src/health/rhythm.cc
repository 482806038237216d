#include "health/rhythm.h"

#include "palier/base/timer_wheel.h"

#include <algorithm>
#include <cmath>

namespace palier::health {
namespace {

constexpr double kBeat = 0.95;   // of the interval
constexpr double kSlack = 0.05;  // of the interval: how far into its beat a probe may start
constexpr double kOnTheBeat = 1e-6;
constexpr double kHurried =
    0.1;  // of the interval: by how much it may be shorter while a change is confirmed

/// So much of `span_ms` at random that a timer which fires a tick late is still within it.
double some_of(double span_ms, double chance) {
    return std::max(0.0, span_ms - double{base::TimerWheel::kTickMs}) * chance;
}

}  // namespace

void Rhythm::take_place(std::size_t place, std::size_t count, double chance) {
    chance_ = chance;
    place_ = place;
    count_ = count;
}

std::uint64_t Rhythm::next(std::uint64_t start_ms, std::uint64_t now_ms, config::Duration interval,
                           bool steady, double chance) const {
    const auto span = static_cast<double>(interval.count());
    const auto start = static_cast<double>(start_ms);
    double at = start + span * (1 - kHurried) + some_of(span * kHurried, chance);
    if (steady) {
        const double beat = span * kBeat;
        const double phase = beat * (static_cast<double>(place_) + chance_) / static_cast<double>(count_);
        // A start on the beat itself belongs to it, whatever the division makes of that.
        const double beats = std::floor((start - phase) / beat + kOnTheBeat) + 1;
        at = phase + beats * beat + some_of(span * kSlack, chance);
    }
    return std::max(now_ms, static_cast<std::uint64_t>(std::ceil(at)));
}

}  // namespace palier::health
