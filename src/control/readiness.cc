#include "palier/control/readiness.h"

#include "palier/pool/standing.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::control {

std::vector<std::string> Readiness::obstacles(std::uint64_t now_ms) const {
    if (phase_ == Phase::starting) return {"starting"};
    if (phase_ == Phase::stopping) return {"stopping"};
    if (draining_) return {"draining"};
    std::vector<std::string> found;
    const proxy::Snapshot& snapshot = *builder_.current();
    for (const std::size_t index : snapshot.config->ready_when) {
        const pool::PoolSnapshot& pool = *snapshot.pools[index];
        const bool served = std::ranges::any_of(
            pool.servers, [now_ms](const pool::Server& server) { return pool::usable(server, now_ms); });
        if (!served) found.push_back(fmt::format("pool {} has no usable server", pool.config.name));
    }
    return found;
}

}  // namespace palier::control
