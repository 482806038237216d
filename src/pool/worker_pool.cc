#include "palier/pool/worker_pool.h"

#include "palier/base/assert.h"
#include "palier/pool/standing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>

namespace palier::pool {
namespace {

constexpr std::uint64_t kNever = base::TimerWheel::kNever;
constexpr std::uint64_t kSlowStartStepMs = 250;  // how often a growing weight is read again
constexpr std::uint64_t kFullStepMs = 16;        // other workers free servers without telling this one
constexpr std::uint64_t kTurnMs = 64;            // for the worker whose turn it is to notice
constexpr unsigned kOwnTurns = 4;                // places in a row that a worker may keep while others wait

constexpr std::size_t kClosesPerTurn = 64;  // of connections to servers that have left
constexpr std::size_t kMostStarts = 64;     // places in the rotation where workers start

constexpr std::uint32_t kGrowingScale = 100;
constexpr std::uint32_t kMostWeight = 65'535;  // that balance takes

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

bool WorkerPool::has_other(const Server& server, std::span<const ServerState* const> tried) {
    const std::uint64_t now_ms = environment_.loop.now_ms();
    return std::ranges::any_of(servers_, [&](const auto& other) {
        const ServerState* state = other->server_->state.get();
        return state != server.state.get() && std::ranges::find(tried, state) == tried.end() &&
               standing(*other->server_, now_ms).weight > 0;
    });
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
