// What a server's way through a roll-out sees of the server and of its pool.

#include "control/rollout_server.h"
#include "palier/pool/standing.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace palier::control {

std::shared_ptr<const pool::PoolSnapshot> RolloutServer::pool() const {
    const auto& pools = ground_.engine.snapshot().pools;
    const auto found = std::ranges::find_if(
        pools, [this](const auto& candidate) { return candidate->config.name == task_.place.pool; });
    return found == pools.end() ? nullptr : *found;
}

/// Views into the engine's snapshot.
std::vector<const pool::Server*> RolloutServer::addresses() const {
    std::vector<const pool::Server*> found;
    const auto in = pool();
    if (!in) return found;
    for (const pool::Server& server : in->servers) {
        if (server.name == name()) found.push_back(&server);
    }
    return found;
}

std::uint32_t RolloutServer::in_flight() const {
    std::uint32_t sum = 0;
    for (const pool::Server* server : addresses())
        sum += server->state->in_flight();
    return sum;
}

std::string RolloutServer::in_flight_words() const {
    std::uint32_t tunnels = 0;
    for (const pool::Server* server : addresses())
        tunnels += server->state->totals().tunnels;
    const std::uint32_t all = in_flight();
    if (tunnels == 0) return fmt::format("{} in flight", all);
    return fmt::format("{} in flight, {} of them {}", all, tunnels,
                       tunnels == 1 ? "a tunnel" : "tunnels (tunnels=close would end them)");
}

/// By name: one with several addresses is usable if one of them is.
std::size_t RolloutServer::usable_others() const {
    const auto in = pool();
    if (!in) return 0;
    std::set<std::string_view> usable;
    for (const pool::Server& server : in->servers) {
        const bool in_batch = std::ranges::find(task_.batch, server.name) != task_.batch.end();
        if (!in_batch && pool::usable(server, now_ms())) usable.insert(server.name);
    }
    return usable.size();
}

/// Why it should not go on as it is; "": nothing is against it.
std::string RolloutServer::standing_fault() const {
    for (const pool::Server* server : addresses()) {
        if (server->state->held_down.load()) {
            const std::string_view reason = ground_.engine.health_reason(*server->state);
            return fmt::format("probes took it down{}{}", reason.empty() ? "" : ": ", reason);
        }
        if (server->state->ejected_until_ms.load() != 0) return "live traffic ejected it";
    }
    return {};
}

pool::Admin RolloutServer::decided() const {
    const auto& decisions = ground_.overlay.decisions();
    const auto in = decisions.find(task_.place.pool);
    if (in == decisions.end()) return pool::Admin::enabled;
    const auto found = in->second.servers.find(task_.place.server);
    return found == in->second.servers.end() ? pool::Admin::enabled : found->second.admin;
}

}  // namespace palier::control
