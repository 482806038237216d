// A worker's pool from one snapshot to the next, those that wait for a server, and connections that are to close.
// Which server an exchange gets is in worker_pool_pick.cc.

#include "palier/pool/worker_pool.h"

#include "palier/base/assert.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace palier::pool {
namespace {

constexpr std::size_t kClosesPerTurn = 64;  // of connections to servers that have left
constexpr std::size_t kMostStarts = 64;     // places in the rotation where workers start

}  // namespace

WorkerPool::WorkerPool(PoolEnvironment& environment, std::shared_ptr<const PoolSnapshot> snapshot)
    : environment_(environment), timer_(base::Timer::calling<&WorkerPool::on_timer>(this)) {
    update(std::move(snapshot));
}

WorkerPool::~WorkerPool() {
    PALIER_ASSERT(leases_ == 0);
}

void WorkerPool::update(std::shared_ptr<const PoolSnapshot> snapshot) {
    auto former = std::exchange(snapshot_, std::move(snapshot));
    const bool same_servers =
        former && std::ranges::equal(former->servers, snapshot_->servers, {}, &Server::state, &Server::state);
    match_servers(std::move(former));
    if (!same_servers) {
        standings_.resize(servers_.size());
        rotation_.assign(std::vector<std::uint32_t>(servers_.size(), 0));
        scale_ = 1;
    }
    refresh(environment_.loop.now_ms(), false);
    refresh_at_ms_ =
        0;  // the first exchange looks again: it may be the one that has passive servers take over
    // Workers start at different places, so that they do not all turn to the same server first.
    if (!same_servers && rotation_.total() > 0)
        rotation_.skip(environment_.seed % (2 * std::min(servers_.size(), kMostStarts) + 1));
}

/// Servers that are in both snapshots keep their connections; mostly they stand where they stood.
void WorkerPool::match_servers(std::shared_ptr<const PoolSnapshot> former) {
    auto old = std::exchange(servers_, {});
    servers_.reserve(snapshot_->servers.size());
    std::unordered_map<const ServerState*, std::size_t> moved;
    const auto place_of = [&](const ServerState* state, std::size_t likely) {
        const auto is_it = [&](std::size_t i) { return old[i] && old[i]->server_->state.get() == state; };
        if (likely < old.size() && is_it(likely)) return likely;
        if (moved.empty()) {
            for (std::size_t i = 0; i < old.size(); ++i) {
                if (old[i]) moved.emplace(old[i]->server_->state.get(), i);
            }
        }
        const auto found = moved.find(state);
        return found != moved.end() && old[found->second] ? found->second : old.size();
    };
    for (const Server& server : snapshot_->servers) {
        const std::size_t place = place_of(server.state.get(), servers_.size());
        if (place < old.size()) {
            old[place]->renew(server);
            servers_.push_back(std::move(old[place]));
        } else {
            servers_.push_back(std::make_unique<WorkerServer>(*this, server));
        }
    }
    for (auto& gone : old) {
        if (!gone) continue;
        gone->remove(former);
        removed_.push_back(std::move(gone));
    }
    if (!removed_.empty()) environment_.loop.again(*this);
}

void WorkerPool::wait(Waiter& waiter) {
    waiters_.push_back(waiter);
    snapshot_->state->waiting.fetch_or(own_bit());
    if (!timer_.armed()) environment_.loop.timers().arm(timer_, environment_.loop.now_ms() + kFullStepMs);
}

void WorkerPool::on_timer() {
    if (waiters_.empty()) {
        snapshot_->state->waiting.fetch_and(~own_bit());
        return;
    }
    environment_.loop.timers().arm(timer_, environment_.loop.now_ms() + kFullStepMs);
    on_again();
}

void WorkerPool::on_again() {
    sweep_removed();
    // Every waiter asks again, in order; those that find no room wait again, behind a marker.
    struct Marker final : Waiter {
        void on_server_free() override {}
    } marker;
    waiters_.push_back(marker);
    bool room = true;
    while (Waiter* waiter = waiters_.pop_front()) {
        if (waiter == &marker) return;
        if (!room) {
            waiters_.push_back(*waiter);
            continue;
        }
        waiter->on_server_free();
        room = waiters_.back() != waiter;
    }
}

/// Closing takes system calls: a few at a time.
void WorkerPool::sweep_removed() {
    std::size_t most = kClosesPerTurn;
    for (const auto& server : removed_)
        server->close_idle(most);
    if (retired_) {
        for (const auto& server : servers_)
            server->close_idle(most);
    }
    swept_ = most > 0;
    if (!swept_) environment_.loop.again(*this);
    std::erase_if(removed_, [](const auto& server) { return server->leases_ == 0 && server->idle_.empty(); });
}

/// One that left and came back while it had leases is there twice.
template <typename Do>
void WorkerPool::for_each(const ServerState& state, Do act) {
    for (auto* of : {&servers_, &removed_}) {
        for (const auto& server : *of) {
            if (server->server_->state.get() == &state) act(*server);
        }
    }
}

void WorkerPool::server_down(const ServerState& state, bool cut_off) {
    for_each(state, [&](WorkerServer& server) {
        server.close_idle();
        if (cut_off) server.cut_off();
    });
}

void WorkerPool::close_some(const ServerState& state, bool tunnels, std::size_t& most) {
    for_each(state, [&](WorkerServer& server) {
        server.close_idle(most);
        if (tunnels) server.end_tunnels(most);
    });
}

void WorkerPool::close_idle() {
    for (auto* of : {&servers_, &removed_}) {
        for (const auto& server : *of)
            server->close_idle();
    }
}

void WorkerPool::retire() {
    retired_ = true;
    environment_.loop.again(*this);
}

}  // namespace palier::pool
