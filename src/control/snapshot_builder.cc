#include "palier/control/snapshot_builder.h"

#include <algorithm>

namespace palier::control {
namespace {

/// Same configuration object and same servers: the pool has not changed.
bool same(const pool::PoolSnapshot& a, const pool::PoolSnapshot& b) {
    return std::ranges::equal(a.servers, b.servers, [](const pool::Server& x, const pool::Server& y) {
        return x.state == y.state && x.address == y.address;
    });
}

}  // namespace

std::shared_ptr<const proxy::Snapshot> SnapshotBuilder::build(std::shared_ptr<const config::Config> config,
                                                              const pool::Addresses& addresses) {
    states_.forget_unused();
    auto next = std::make_shared<proxy::Snapshot>();
    const bool same_config = current_ && current_->config == config;
    next->generation = current_ ? current_->generation + 1 : 1;
    for (std::size_t i = 0; i < config->pools.size(); ++i) {
        auto pool = pool::make_pool_snapshot(config->pools[i], addresses, states_);
        if (same_config && same(*pool, *current_->pools[i])) pool = current_->pools[i];
        next->pools.push_back(std::move(pool));
    }
    if (same_config) {
        next->routers = current_->routers;
    } else {
        auto routers = std::make_shared<std::vector<proxy::Router>>();
        for (std::size_t i = 0; i < config->listeners.size(); ++i)
            routers->emplace_back(*config, i);
        next->routers = std::move(routers);
    }
    next->config = std::move(config);
    current_ = next;
    return next;
}

}  // namespace palier::control
