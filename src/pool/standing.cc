#include "palier/pool/standing.h"

#include <algorithm>

namespace palier::pool {

bool usable(const Server& server, std::uint64_t now_ms) {
    const ServerState& state = *server.state;
    if (server.admin != Admin::enabled || server.weight == 0 || state.held_down.load()) return false;
    const std::uint64_t ejected_until = state.ejected_until_ms.load();
    return ejected_until == 0 || (now_ms >= ejected_until && !state.on_trial.load());
}

bool held_by_passive(const PoolSnapshot& pool) {
    return pool.config.failback == config::Failback::manual && pool.state->held_by_passive.load() == pool.era;
}

void fail_back(PoolState& pool) {
    pool.held_by_passive.store(0);
    pool.changed();
}

std::uint32_t growing_weight(std::uint32_t weight, std::uint64_t age_ms, std::uint64_t slow_start_ms) {
    const std::uint64_t grown = std::uint64_t{weight} * age_ms / slow_start_ms;
    return std::max({1U, weight / 100, static_cast<std::uint32_t>(grown)});
}

}  // namespace palier::pool
