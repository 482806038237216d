#include "palier/pool/transition.h"

#include "palier/base/log.h"

#include <fmt/format.h>

namespace palier::pool {

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
