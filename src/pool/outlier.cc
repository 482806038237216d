#include "palier/pool/outlier.h"

#include "palier/pool/transition.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace palier::pool {
namespace {

constexpr std::uint32_t kMaxDoublings = 10;

std::uint64_t backoff_ms(const config::OutlierConfig& config, std::uint32_t ejections_in_row) {
    return static_cast<std::uint64_t>(config.backoff.count()) << std::min(ejections_in_row, kMaxDoublings);
}

/// Ejections in a row start again from none once the server has been well for as long as it was last out.
std::uint32_t ejections_before(const config::OutlierConfig& config, const ServerState& state,
                               std::uint64_t now_ms) {
    const std::uint32_t before = state.ejections_in_row.load();
    const std::uint64_t returned = state.returned_at_ms.load();
    if (before == 0 || returned == 0) return before;
    // Another worker's turn of its loop may have begun later than this one's.
    return now_ms > returned && now_ms - returned > backoff_ms(config, before - 1) ? 0 : before;
}

/// Servers that probes hold down or operators have taken out count as well: live traffic is not to take out what they
/// have left.
bool may_eject(const PoolSnapshot& pool, const Server& server) {
    const auto out = std::ranges::count_if(pool.servers, [&](const Server& other) {
        return other.state != server.state &&
               (other.admin != Admin::enabled || other.state->ejected_until_ms.load() != 0 ||
                other.state->held_down.load());
    });
    return static_cast<std::size_t>(out) <
           max_ejections(pool.servers.size(), pool.config.outlier.max_ejected);
}

/// How long the server was in use or out until now, when it changes.
std::uint64_t end_standing(ServerState& state, std::uint64_t now_ms) {
    const std::uint64_t since = state.standing_since_ms.exchange(now_ms);
    return now_ms > since ? now_ms - since : 0;
}

void eject(const PoolSnapshot& pool, const Server& server, std::string_view reason, bool again,
           std::uint64_t now_ms) {
    ServerState& state = *server.state;
    const std::uint32_t before = ejections_before(pool.config.outlier, state, now_ms);
    const std::uint64_t backoff = backoff_ms(pool.config.outlier, before);
    state.ejections_in_row.store(before + 1);
    state.returned_at_ms.store(0);
    state.failures_in_row.store(0);
    state.window_from_ms.store(0);
    state.ejected_until_ms.store(now_ms + backoff);
    state.on_trial.store(false);
    pool.state->changed();
    announce(state, {.from = again ? "ejected" : "in use",
                     .to = "ejected",
                     .reason = fmt::format("{}; out for {}", reason, duration_text(backoff)),
                     .former_ms = end_standing(state, now_ms),
                     .bad = true});
}

/// The share of requests that failed, where it is too large: "12 of 20 requests in 8.5s failed, the last: …".
/// The window begins with a failure and has what came after it; only failures look at it, so that it costs
/// successful requests nothing.
std::string too_many_of_all(const config::OutlierConfig& config, ServerState& state, std::string_view reason,
                            std::uint64_t now_ms) {
    if (config.error_rate == 0) return {};
    const auto totals = state.totals();
    const std::uint64_t from = state.window_from_ms.load();
    if (from == 0 || now_ms > from + static_cast<std::uint64_t>(config.window.count())) {
        // This exchange is counted as a failure already, and as ended not yet.
        state.window_exchanges.store(totals.ended);
        state.window_failures.store(totals.failures - 1);
        state.window_from_ms.store(now_ms);
        return {};
    }
    const std::uint64_t failures = totals.failures - state.window_failures.load();
    // Of those that failed, some are still on their way to the client.
    const std::uint64_t requests = std::max(totals.ended + 1 - state.window_exchanges.load(), failures);
    if (requests < config.min_requests || failures * 100 < requests * config.error_rate) return {};
    return fmt::format("{} of {} requests from live traffic failed in {}, the last: {}", failures, requests,
                       duration_text(now_ms > from ? now_ms - from : 0), reason);
}

std::string too_many_in_row(const config::OutlierConfig& config, ServerState& state,
                            std::string_view reason) {
    const std::uint32_t failures = state.failures_in_row.fetch_add(1) + 1;
    if (config.failures == 0 || failures < config.failures) return {};
    return fmt::format("{} failures in a row from live traffic, the last: {}", failures, reason);
}

}  // namespace

std::size_t max_ejections(std::size_t servers, std::uint32_t max_ejected) {
    return servers < 2 ? 0 : servers * max_ejected / 100;
}

void end_ejection(const PoolSnapshot& pool, const Server& server, std::string_view reason,
                  std::uint64_t now_ms) {
    ServerState& state = *server.state;
    // A trial's success and a probe's may come together: one of them says so.
    if (state.ejected_until_ms.exchange(0) == 0) return;
    state.returned_at_ms.store(now_ms);
    if (server.slow_start_ms != 0) state.slow_start_from_ms.store(now_ms);
    state.on_trial.store(false);
    pool.state->changed();
    announce(state,
             {.from = "ejected", .to = "in use", .reason = reason, .former_ms = end_standing(state, now_ms)});
}

void report_success(const PoolSnapshot& pool, const Server& server, bool trial, std::uint64_t now_ms) {
    ServerState& state = *server.state;
    if (state.failures_in_row.load(std::memory_order_relaxed) != 0) state.failures_in_row.store(0);
    if (trial) end_ejection(pool, server, "its trial request succeeded", now_ms);
}

void report_failure(const PoolSnapshot& pool, const Server& server, bool trial, std::string_view reason,
                    std::uint64_t now_ms) {
    ServerState& state = *server.state;
    const config::OutlierConfig& config = pool.config.outlier;
    if (config.failures == 0 && config.error_rate == 0) {
        if (trial) end_ejection(pool, server, "live traffic is not judged any more", now_ms);
        return;
    }
    if (trial) {
        eject(pool, server, fmt::format("its trial request failed: {}", reason), true, now_ms);
        return;
    }
    std::string why = too_many_in_row(config, state, reason);
    const std::string rate = too_many_of_all(config, state, reason, now_ms);
    if (why.empty()) why = rate;
    if (why.empty() || !may_eject(pool, server)) return;
    // Exchanges that began before an ejection may still fail during it. Workers may come here together: one
    // of them ejects this server, and whoever finds too many out with its own takes it back.
    std::uint64_t in = 0;
    if (!state.ejected_until_ms.compare_exchange_strong(in, now_ms + backoff_ms(config, 0))) return;
    if (!may_eject(pool, server)) {
        state.ejected_until_ms.store(0);
        return;
    }
    eject(pool, server, why, false, now_ms);
}

void abandon_trial(const PoolSnapshot& pool, const Server& server) {
    server.state->on_trial.store(false);
    pool.state->changed();
}

}  // namespace palier::pool
