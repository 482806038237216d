// A server's change of standing, as one event: what it was, what it is, why, and for how long it was the former.
// Probes and live traffic both speak of servers through this. Thread: any.
#pragma once

#include "palier/pool/server_state.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace palier::pool {

struct Transition {
    std::string_view from;  // "up", "down", "unknown", "in use", "ejected"
    std::string_view to;
    std::string_view reason;      // in words: "HTTP 503, expected 200-399"
    std::uint64_t former_ms = 0;  // how long it was `from`
    bool bad = false;             // a warning rather than news
};

/// One line of the event log:
/// server web/front1: up -> down after 3m12s: HTTP 503, expected 200-399
/// and a call of the observer, if there is one.
void announce(const ServerState& server, const Transition& transition);

/// Hears of every change, on whatever thread announces it and while it does so. One for the whole process; an empty one
/// ends it: the former is not called any more once this has returned. Not from within an observer.
using TransitionObserver = std::function<void(const ServerState&, const Transition&)>;
void set_transition_observer(TransitionObserver observer);

/// 950 → "950ms", 3200 → "3.2s", 192000 → "3m12s", 90061000 → "1d1h".
[[nodiscard]] std::string duration_text(std::uint64_t ms);

}  // namespace palier::pool
