#include "health/watched_server.h"

#include "palier/pool/outlier.h"
#include "palier/pool/transition.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace palier::health {
namespace {

using pool::Health;

constexpr std::uint64_t kRetryMs = 500;  // after a failure of this machine, at most

ProbeTarget target_of(const pool::Server& server) {
    return {server.probe_address, server.probe_host, server.probe_tls};
}

}  // namespace

WatchedServer::WatchedServer(WatchShared& shared, std::shared_ptr<const pool::PoolSnapshot> pool,
                             std::size_t index, bool trusted)
    : shared_(shared),
      pool_(std::move(pool)),
      index_(index),
      config_(*pool_->config.health),
      target_(target_of(server())),
      chance_(shared.chance()),
      probe_(shared.probes, *this),
      timer_(base::Timer::calling<&WatchedServer::on_turn_come>(this)),
      since_ms_(loop().now_ms()),
      trusted_(trusted) {
    take_up_former();
    server().state->health.store(judge_.state());
    server().state->health_since_ms.store(since_ms_);
    hold_or_release();
}

/// What a palier before this one found, if it told.
void WatchedServer::take_up_former() {
    pool::ServerState& state = *server().state;
    const Health former = state.former_health.exchange(Health::unprobed);
    if (former == Health::unprobed || former == Health::unknown) return;
    judge_.resume(former);
    since_ms_ = std::min(since_ms_, state.health_since_ms.load());
    reason_ = "as the palier before this one found it";
}

bool WatchedServer::renew(std::shared_ptr<const pool::PoolSnapshot> pool, std::size_t index) {
    pool_ = std::move(pool);
    index_ = index;
    const ProbeTarget target = target_of(server());
    if (config_ == *pool_->config.health && target_ == target) return false;
    probe_.cancel();
    config_ = *pool_->config.health;
    target_ = target;
    hold_or_release();
    return true;
}

void WatchedServer::begin(std::uint64_t delay_ms) {
    loop().timers().arm(timer_, loop().now_ms() + delay_ms);
}

void WatchedServer::succeed_one_in_use() {
    trusted_ = true;
    hold_or_release();
}

/// The probe under way began before the doubt.
void WatchedServer::doubt() {
    const Health former = judge_.state();
    probe_.cancel();
    judge_.doubt();
    reason_ = "in doubt";
    if (former != Health::down && become(former, false)) shared_.down(server().state, false);
    begin(0);
}

void WatchedServer::drop() {
    probe_.cancel();
    base::TimerWheel::disarm(timer_);
}

void WatchedServer::on_turn_come() {
    started_ms_ = loop().now_ms();
    probe_.start(target_, config_);
}

void WatchedServer::on_result(const Result& result) {
    const Health former = judge_.state();
    const bool changed = judge_.apply(result.well, config_);
    if (!result.well) {
        reason_ = result.reason;
        // Its name may lead elsewhere by now: a container that was replaced.
        if (result.unreachable) server().state->unreachable.store(true, std::memory_order_relaxed);
    }
    if (changed) {
        if (result.well) reason_ = success_words(former);
        if (become(former, judge_.state() == Health::down))
            shared_.down(server().state, pool_->config.on_down == config::OnDown::close);
    }
    if (result.well && config_.probe_clears) {
        pool::end_ejection(*pool_, server(), "a probe succeeded", loop().now_ms());
    }
    arm_next();
}

void WatchedServer::on_local_failure(std::string_view why) {
    const std::uint64_t now = loop().now_ms();
    if (shared_.local_failures.permit(now)) {
        base::log_warning("server {} cannot be probed for the moment: {} ({} more since the last such line)",
                          server().state->name, why, shared_.local_failures.take_suppressed());
    }
    const auto most = std::min(static_cast<std::uint64_t>(config_.interval.count()), kRetryMs);
    begin(static_cast<std::uint64_t>(static_cast<double>(most) * (1 + shared_.chance()) / 2));
}

/// Publishes the judge's new state. True: the server leaves those in use.
bool WatchedServer::become(Health former, bool bad) {
    const std::uint64_t now = loop().now_ms();
    const std::uint64_t former_ms = now - std::exchange(since_ms_, now);
    const Health health = judge_.state();
    pool::ServerState& state = *server().state;
    const bool returns = health == Health::up && (former == Health::down || former == Health::rising);
    const bool first = former == Health::unknown;
    const bool leaves = health == Health::down && former != Health::rising;
    if (returns || first || leaves) state.health_since_ms.store(now);
    if (returns && server().slow_start_ms != 0) state.slow_start_from_ms.store(now);
    state.health.store(health);
    hold_or_release();
    pool::announce(state, {.from = pool::text_of(former),
                           .to = pool::text_of(health),
                           .reason = reason_,
                           .former_ms = former_ms,
                           .bad = bad});
    return leaves;
}

/// Workers look at all servers again when one of them was taken out or let in.
void WatchedServer::hold_or_release() {
    if (server().state->held_down.exchange(held_down()) != held_down()) pool_->state->changed();
}

void WatchedServer::arm_next() {
    const Health health = judge_.state();
    const bool steady = health != Health::falling && health != Health::rising;
    loop().timers().arm(timer_, rhythm_.next(started_ms_, loop().now_ms(), judge_.interval(config_), steady,
                                             shared_.chance()));
}

std::string WatchedServer::success_words(Health former) const {
    if (former == Health::unknown) return "the first probe succeeded";
    if (former == Health::rising) return fmt::format("{} successes in a row", config_.rise);
    return "a probe succeeded";
}

}  // namespace palier::health
