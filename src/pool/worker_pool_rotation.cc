// What each server is worth in the rotation: whether it may be used now, which tiers are in use, how far a slow start
// has come. Looked at again when PoolState::version moves or a known time comes.

#include "palier/pool/standing.h"
#include "palier/pool/worker_pool.h"

#include <algorithm>
#include <array>

namespace palier::pool {
namespace {

constexpr std::uint64_t kNever = base::TimerWheel::kNever;
constexpr std::uint64_t kSlowStartStepMs = 250;  // how often a growing weight is read again
constexpr std::uint32_t kGrowingScale = 100;
constexpr std::uint32_t kMostWeight = 65'535;  // that balance takes

}  // namespace

WorkerPool::Standing WorkerPool::standing(const Server& server, std::uint64_t now_ms) {
    const ServerState& state = *server.state;
    if (server.weight == 0 || server.admin != Admin::enabled) return {};
    if (!any_will_do_ && !usable(server, now_ms)) {
        const std::uint64_t ejected_until = state.ejected_until_ms.load();
        if (ejected_until > now_ms) look_again_at(ejected_until);
        return {};
    }
    const std::uint64_t slow_from = state.slow_start_from_ms.load();
    // Another worker's turn of its loop may have begun later than this one's.
    const std::uint64_t age_ms = now_ms > slow_from ? now_ms - slow_from : 0;
    const bool growing = slow_from != 0 && age_ms < server.slow_start_ms && !any_will_do_;
    if (growing) look_again_at(now_ms + kSlowStartStepMs);
    if (server.max_connections != 0 &&
        (state.limited.load() >= server.max_connections || anothers_turn(state, now_ms))) {
        look_again_at(now_ms + kFullStepMs);
        return {.full = true, .growing = growing};
    }
    const std::uint32_t weight = server.weight * scale_;
    return {.weight = growing ? growing_weight(weight, age_ms, server.slow_start_ms) : weight,
            .growing = growing};
}

unsigned WorkerPool::tier(const Server& server, bool passive_first) const {
    const bool second = (server.role == config::Role::passive) != passive_first;
    const bool remote = snapshot_->config.prefer_local && !server.local;
    return (second ? 2U : 0U) + (remote ? 1U : 0U);
}

void WorkerPool::refresh(std::uint64_t now_ms, bool for_traffic) {
    seen_version_ = snapshot_->state->version.load(std::memory_order_acquire);
    refresh_at_ms_ = kNever;
    any_will_do_ = false;
    look_at_servers(now_ms);
    if (for_traffic) note_takeover();
    const auto in_use = [](const Standing& now) { return now.weight > 0 || now.full; };
    if (snapshot_->config.when_none == config::WhenNone::try_all &&
        std::ranges::none_of(standings_, in_use)) {
        any_will_do_ = true;
        look_at_servers(now_ms);
    }
    const bool passive_first = passive_goes_first();
    const unsigned last = last_tier(passive_first);
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        const bool chosen = tier(*servers_[i]->server_, passive_first) <= last;
        const std::uint32_t weight = chosen ? standings_[i].weight : 0;
        if (rotation_.weight(i) != weight) rotation_.set_weight(i, weight);
    }
}

void WorkerPool::look_at_servers(std::uint64_t now_ms) {
    some_full_ = false;
    const auto look = [&] {
        bool growing = false;
        for (std::size_t i = 0; i < servers_.size(); ++i) {
            standings_[i] = standing(*servers_[i]->server_, now_ms);
            some_full_ = some_full_ || standings_[i].full;
            growing = growing || standings_[i].growing;
        }
        return growing;
    };
    const bool growing = look();
    std::uint32_t heaviest = 1;
    for (const auto& server : servers_)
        heaviest = std::max(heaviest, server->server_->weight);
    const std::uint32_t scale = growing ? std::clamp(kMostWeight / heaviest, 1U, kGrowingScale) : 1;
    if (scale == scale_) return;
    // Credits are worth something only among weights of one scale.
    scale_ = scale;
    rotation_.assign(std::vector<std::uint32_t>(servers_.size(), 0));
    look();
}

/// failback = "manual": once passive servers have taken over, they keep the traffic. An active server whose
/// first probe is under way does not lose it for that, nor one that was left out for a while.
void WorkerPool::note_takeover() {
    if (snapshot_->config.failback != config::Failback::manual) return;
    bool has_active = false;
    bool active_well = false;
    bool passive_well = false;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        const Server& server = *servers_[i]->server_;
        const bool active = server.role == config::Role::active;
        const bool awaited =
            active && (server.admin == Admin::left_out ||
                       (server.admin == Admin::enabled && server.state->health.load() == Health::unknown));
        const bool well = standings_[i].weight > 0 || standings_[i].full || awaited;
        has_active = has_active || active;
        (active ? active_well : passive_well) |= well;
    }
    if (has_active && !active_well && passive_well) hold_by_passive();
}

/// Not over a later era: this worker may be the last that has not heard of it.
void WorkerPool::hold_by_passive() {
    auto& held = snapshot_->state->held_by_passive;
    std::uint64_t era = held.load();
    while (era < snapshot_->era && !held.compare_exchange_weak(era, snapshot_->era)) {
    }
}

bool WorkerPool::passive_goes_first() const {
    return held_by_passive(*snapshot_);
}

/// The tiers up to this one are in use: enough of them for min_usable servers, if there are so many.
unsigned WorkerPool::last_tier(bool passive_first) const {
    if (any_will_do_) return kTiers;
    std::array<std::size_t, kTiers> in_tier{};
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        if (standings_[i].weight > 0) ++in_tier[tier(*servers_[i]->server_, passive_first)];
    }
    std::size_t so_far = 0;
    for (unsigned t = 0; t < kTiers; ++t) {
        so_far += in_tier[t];
        if (so_far >= snapshot_->config.min_usable) return t;
    }
    return kTiers;
}

}  // namespace palier::pool
