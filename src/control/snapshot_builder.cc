#include "palier/control/snapshot_builder.h"

#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace palier::control {
namespace {

const pool::PoolDecision* decision_on(const pool::Decisions& decisions, const std::string& pool) {
    const auto found = decisions.find(pool);
    return found == decisions.end() ? nullptr : &found->second;
}

/// Nobody but the builder holds it.
template <typename T>
bool unused(const std::shared_ptr<T>& snapshot) {
    return snapshot.use_count() == 1;
}

}  // namespace

std::shared_ptr<const proxy::Snapshot> SnapshotBuilder::build(std::shared_ptr<const config::Config> config,
                                                              const pool::Addresses& addresses,
                                                              const pool::Decisions& decisions) {
    auto next = std::make_shared<proxy::Snapshot>();
    const bool same_config = current_ && current_->config == config;
    next->generation = ++generation_;
    std::unordered_map<std::string_view, const std::shared_ptr<const pool::PoolSnapshot>*> former;
    if (current_) {
        for (const auto& pool : current_->pools)
            former.emplace(pool->config.name, &pool);
    }
    for (const config::PoolConfig& pool : config->pools) {
        const auto known = former.find(pool.name);
        next->pools.push_back(pool::make_pool_snapshot(pool, addresses, states_,
                                                       decision_on(decisions, pool.name),
                                                       known == former.end() ? nullptr : *known->second));
    }
    if (same_config) {
        next->routers = current_->routers;
        next->fallback_router = current_->fallback_router;
    } else {
        auto routers = std::make_shared<std::vector<proxy::Router>>();
        for (std::size_t i = 0; i < config->listeners.size(); ++i)
            routers->emplace_back(*config, i);
        next->routers = std::move(routers);
        next->fallback_router = std::make_shared<const proxy::Router>(*config, proxy::kNoListener);
        states_.adopt_tls();
    }
    next->config = std::move(config);
    if (current_) retire_current(*next);
    current_ = next;
    forget_retired();
    return next;
}

/// A pool may be in use for longer than the snapshots that had it.
void SnapshotBuilder::retire_current(const proxy::Snapshot& next) {
    std::unordered_set<const pool::PoolSnapshot*> stay;
    for (const auto& pool : next.pools)
        stay.insert(pool.get());
    for (const auto& pool : current_->pools) {
        if (!stay.contains(pool.get())) retired_pools_.push_back(pool);
    }
    retired_.push_back(std::move(current_));
}

void SnapshotBuilder::forget_retired() {
    std::erase_if(retired_, unused<const proxy::Snapshot>);
    std::erase_if(retired_pools_, unused<const pool::PoolSnapshot>);
    states_.forget_unused();
}

}  // namespace palier::control
