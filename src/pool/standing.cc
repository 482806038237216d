#include "palier/pool/standing.h"

#include <algorithm>

namespace palier::pool {

bool usable(const Server& server, std::uint64_t now_ms) {
    const ServerState& state = *server.state;
    if (server.weight == 0 || state.held_down.load()) return false;
    const std::uint64_t ejected_until = state.ejected_until_ms.load();
    return ejected_until == 0 || (now_ms >= ejected_until && !state.on_trial.load());
}

std::uint32_t growing_weight(std::uint32_t weight, std::uint64_t age_ms, std::uint64_t slow_start_ms) {
    const std::uint64_t grown = std::uint64_t{weight} * age_ms / slow_start_ms;
    return std::max({1U, weight / 100, static_cast<std::uint32_t>(grown)});
}

}  // namespace palier::pool
