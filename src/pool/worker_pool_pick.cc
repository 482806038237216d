// Which server an exchange gets, and what becomes of its place when it is over.

#include "palier/pool/worker_pool.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace palier::pool {
namespace {

constexpr std::uint64_t kTurnMs = 64;  // for the worker whose turn it is to notice
constexpr unsigned kOwnTurns = 4;      // places in a row that a worker may keep while others wait

}  // namespace

Pick WorkerPool::pick(std::span<const ServerState* const> tried, Lease& lease) {
    const std::uint64_t now_ms = environment_.loop.now_ms();
    if (snapshot_->state->version.load(std::memory_order_acquire) != seen_version_ ||
        now_ms >= refresh_at_ms_) {
        refresh(now_ms, true);
    }
    if (!tried.empty()) {
        if (pick_untried(tried, now_ms, lease)) return Pick::leased;
        return some_full_ ? Pick::full : Pick::none;
    }
    // Each turn of this loop picks a server, or finds one that has become full or is on trial and takes it
    // out: no more turns than servers are needed to know.
    for (std::size_t attempt = 0; attempt <= servers_.size(); ++attempt) {
        const std::size_t index = rotation_.pick();
        if (index == balance::SmoothWeighted::kNone) break;
        if (claim(*servers_[index], lease)) return Pick::leased;
        rotation_.set_weight(index, 0);
        if (rotation_.total() == 0) refresh(now_ms, true);
    }
    return some_full_ ? Pick::full : Pick::none;
}

/// For another try: the next usable server of the lowest tier that was not tried. It does not come from the
/// rotation, which holds one tier only, and whose turns belong to first tries; the next such pick starts
/// behind it, so that a failing server's load is spread.
bool WorkerPool::pick_untried(std::span<const ServerState* const> tried, std::uint64_t now_ms, Lease& lease) {
    const bool passive_first = passive_goes_first();
    std::vector<std::pair<unsigned, std::size_t>>
        candidates;  // tier, distance from where the last one was found
    const std::size_t count = servers_.size();
    for (std::size_t step = 0; step < count; ++step) {
        const Server& server = *servers_[(untried_from_ + step) % count]->server_;
        if (std::ranges::find(tried, server.state.get()) != tried.end()) continue;
        const Standing now = standing(server, now_ms);
        some_full_ = some_full_ || now.full;
        if (now.weight == 0) continue;
        candidates.emplace_back(tier(server, passive_first), step);
    }
    std::ranges::sort(candidates);
    for (const auto& [tier_of_it, step] : candidates) {
        const std::size_t index = (untried_from_ + step) % count;
        if (!claim(*servers_[index], lease)) continue;
        untried_from_ = index + 1;
        return true;
    }
    return false;
}

/// One of the places that max_connections gives.
bool WorkerPool::take_place(ServerState& state, std::uint32_t places) const {
    if (anothers_turn(state, environment_.loop.now_ms())) return false;
    if (state.limited.fetch_add(1) >= places) {
        state.limited.fetch_sub(1);
        return false;
    }
    state.turn_of.store(0);
    return true;
}

bool WorkerPool::claim(WorkerServer& server, Lease& lease) {
    ServerState& state = *server.server_->state;
    const std::uint64_t ejected_until = state.ejected_until_ms.load(std::memory_order_relaxed);
    const bool trial = ejected_until != 0 && !any_will_do_;
    if (state.held_down.load(std::memory_order_relaxed) && !any_will_do_) return false;
    if (trial && environment_.loop.now_ms() < ejected_until) return false;
    const bool limited = server.server_->max_connections != 0;
    if (limited && !take_place(state, server.server_->max_connections)) {
        some_full_ = true;
        look_again_at(environment_.loop.now_ms() + kFullStepMs);
        return false;
    }
    // Another worker may have taken its trial since the rotation was made.
    if (trial && state.on_trial.exchange(true)) {
        if (limited) state.limited.fetch_sub(1);
        return false;
    }
    if (trial) snapshot_->state->changed();
    ++leases_;
    ++server.leases_;
    WorkerCounters::add<std::uint32_t>(server.counters_->in_flight, 1);
    WorkerCounters::add<std::uint64_t>(server.counters_->exchanges, 1);
    lease.server_ = &server;
    lease.leased_us_ = environment_.loop.now_us();
    lease.trial_of_ms_ = trial ? ejected_until : 0;
    lease.limited_ = limited;
    return true;
}

void WorkerPool::released(WorkerServer& server, bool limited) {
    --leases_;
    --server.leases_;
    WorkerCounters::add<std::uint32_t>(server.counters_->in_flight, static_cast<std::uint32_t>(-1));
    if (limited) {
        server.server_->state->limited.fetch_sub(1);
        give_turn(*server.server_->state);
        if (some_full_) refresh_at_ms_ = 0;
        if (!waiters_.empty()) environment_.loop.again(*this);
    }
    if (server.removed_from_ && server.leases_ == 0) environment_.loop.again(*this);
}

/// Exchanges of other workers wait too, and hear of a free place later than those of this one: every few
/// places one is kept for the next worker.
void WorkerPool::give_turn(ServerState& state) {
    const std::uint64_t others = snapshot_->state->waiting.load(std::memory_order_relaxed) & ~own_bit();
    if (others == 0 || ++own_turns_ < kOwnTurns) return;
    own_turns_ = 0;
    const unsigned own = environment_.worker % 64;
    const auto distance = static_cast<unsigned>(std::countr_zero(std::rotr(others, static_cast<int>(own))));
    state.turn_until_ms.store(environment_.loop.now_ms() + kTurnMs);
    state.turn_of.store((own + distance) % 64 + 1);
}

bool WorkerPool::anothers_turn(const ServerState& state, std::uint64_t now_ms) const {
    const std::uint32_t turn = state.turn_of.load(std::memory_order_relaxed);
    return turn != 0 && turn != environment_.worker % 64 + 1 && now_ms < state.turn_until_ms.load();
}

bool WorkerPool::has_other(const Server& server, std::span<const ServerState* const> tried) {
    const std::uint64_t now_ms = environment_.loop.now_ms();
    return std::ranges::any_of(servers_, [&](const auto& other) {
        const ServerState* state = other->server_->state.get();
        return state != server.state.get() && std::ranges::find(tried, state) == tried.end() &&
               standing(*other->server_, now_ms).weight > 0;
    });
}

}  // namespace palier::pool
