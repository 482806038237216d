// Rhythm: when a server's next probe starts.
//
// A steady server is probed once in each beat of 95 % of its interval, up to 5 % of the interval into the beat, at
// random: from start to start it is never more than the interval and hardly ever less than 90 % of it. Beats are
// counted from the clock's zero and begin at a place that the server keeps, so that neither chance nor what a
// server went through moves servers together: those at one address divide the beat among them, all others lie
// where chance put them.
//
// While a change is being confirmed there is no beat: the next start follows from the last.
//
// Thread: control only. Owner: a watched server. A value: no clock, no randomness of its own.
#pragma once

#include "palier/config/config.h"

#include <cstddef>
#include <cstdint>

namespace palier::health {

class Rhythm {
  public:
    /// It is number `place` (from 0) of `count` that are probed at the same address. `chance` in [0, 1): where in
    /// the beat these lie, one and the same for all of them.
    void take_place(std::size_t place, std::size_t count, double chance);

    /// After a probe that started at `start_ms` and has ended by `now_ms`; not before `now_ms`. `chance` in
    /// [0, 1) anew for each call. Milliseconds of the monotonic clock, made for a timer that fires up to a
    /// tick of the wheel late.
    [[nodiscard]] std::uint64_t next(std::uint64_t start_ms, std::uint64_t now_ms, config::Duration interval,
                                     bool steady, double chance) const;

  private:
    double chance_ = 0;
    std::size_t place_ = 0;
    std::size_t count_ = 1;
};

}  // namespace palier::health
