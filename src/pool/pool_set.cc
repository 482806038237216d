// PoolSet: the pools of one worker, from one configuration to the next.
#include "palier/pool/worker_pool.h"

#include <string>
#include <unordered_map>
#include <utility>

namespace palier::pool {

void PoolSet::update(std::span<const std::shared_ptr<const PoolSnapshot>> snapshots,
                     std::uint64_t server_idle_ms) {
    environment_.server_idle_ms = server_idle_ms;
    auto old = std::exchange(pools_, {});
    pools_.reserve(snapshots.size());
    std::unordered_map<std::string, std::size_t> moved;
    const auto place_of = [&](const std::string& name, std::size_t likely) {
        const auto name_of = [&](std::size_t i) -> const std::string& {
            return old[i]->snapshot().config.name;
        };
        if (likely < old.size() && old[likely] && name_of(likely) == name) return likely;
        if (moved.empty()) {
            for (std::size_t i = 0; i < old.size(); ++i) {
                if (old[i]) moved.emplace(name_of(i), i);
            }
        }
        const auto found = moved.find(name);
        return found != moved.end() && old[found->second] ? found->second : old.size();
    };
    for (const auto& snapshot : snapshots) {
        const std::size_t place = place_of(snapshot->config.name, pools_.size());
        if (place == old.size()) {
            pools_.push_back(std::make_unique<WorkerPool>(environment_, snapshot));
            continue;
        }
        if (&old[place]->snapshot() != snapshot.get()) old[place]->update(snapshot);
        pools_.push_back(std::move(old[place]));
    }
    for (auto& gone : old) {
        if (!gone) continue;
        gone->retire();
        removed_.push_back(std::move(gone));
    }
}

void PoolSet::sweep_removed() {
    std::erase_if(removed_, [](const auto& pool) { return pool->over(); });
}

void PoolSet::server_down(const ServerState& server, bool cut_off) {
    for (auto* of : {&pools_, &removed_}) {
        for (const auto& pool : *of)
            pool->server_down(server, cut_off);
    }
}

bool PoolSet::close_some(const ServerState& server, bool tunnels, std::size_t most) {
    for (auto* of : {&pools_, &removed_}) {
        for (const auto& pool : *of)
            pool->close_some(server, tunnels, most);
    }
    return most > 0;
}

void PoolSet::close_idle() {
    for (auto* of : {&pools_, &removed_}) {
        for (const auto& pool : *of)
            pool->close_idle();
    }
}

}  // namespace palier::pool
