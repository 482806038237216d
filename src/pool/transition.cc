#include "palier/pool/transition.h"

#include "palier/base/log.h"

#include <mutex>
#include <shared_mutex>
#include <utility>

#include <fmt/format.h>

namespace palier::pool {
namespace {

/// Transitions are rare: a lock that announcements share costs nothing that counts.
struct Observed {
    std::shared_mutex mutex;
    TransitionObserver observer;  // guarded by mutex
};

Observed& observed() {
    static Observed the_one;
    return the_one;
}

}  // namespace

void announce(const ServerState& server, const Transition& transition) {
    const auto line = [&] {
        return fmt::format("server {}: {} -> {} after {}: {}", server.name, transition.from, transition.to,
                           duration_text(transition.former_ms), transition.reason);
    };
    if (transition.bad) {
        base::log_warning("{}", line());
    } else if (base::log_enabled(base::LogLevel::info)) {
        base::log_info("{}", line());
    }
    Observed& observed_by = observed();
    const std::shared_lock lock(observed_by.mutex);
    if (observed_by.observer) observed_by.observer(server, transition);
}

void set_transition_observer(TransitionObserver observer) {
    Observed& observed_by = observed();
    const std::unique_lock lock(observed_by.mutex);
    observed_by.observer = std::move(observer);
}

std::string duration_text(std::uint64_t ms) {
    const std::uint64_t seconds = ms / 1000;
    if (ms < 1000) return fmt::format("{}ms", ms);
    if (seconds < 60) {
        const std::uint64_t tenths = ms % 1000 / 100;
        return tenths == 0 ? fmt::format("{}s", seconds) : fmt::format("{}.{}s", seconds, tenths);
    }
    if (seconds < 3600) return fmt::format("{}m{}s", seconds / 60, seconds % 60);
    if (seconds < 86'400) return fmt::format("{}h{}m", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{}d{}h", seconds / 86'400, seconds / 3600 % 24);
}

}  // namespace palier::pool
