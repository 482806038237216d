#include "palier/pool/outlier.h"

#include "palier/base/log.h"

#include <algorithm>

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

bool may_eject(const PoolSnapshot& pool, const Server& server) {
    std::size_t ejected = 0;
    for (const Server& other : pool.servers) {
        if (other.state != server.state && other.state->ejected_until_ms.load() != 0) ++ejected;
    }
    return ejected < max_ejections(pool.servers.size(), pool.config.outlier.max_ejected);
}

void eject(const PoolSnapshot& pool, const Server& server, std::uint32_t failures, std::string_view reason,
           std::uint64_t now_ms) {
    ServerState& state = *server.state;
    const std::uint32_t before = ejections_before(pool.config.outlier, state, now_ms);
    const std::uint64_t backoff = backoff_ms(pool.config.outlier, before);
    state.ejections_in_row.store(before + 1);
    state.returned_at_ms.store(0);
    state.failures_in_row.store(0);
    state.ejected_until_ms.store(now_ms + backoff);
    state.on_trial.store(false);
    pool.state->changed();
    base::log_warning("server {} ejected for {} ms: {} failures in a row from live traffic, the last: {}",
                      state.name, backoff, failures, reason);
}

}  // namespace

std::size_t max_ejections(std::size_t servers, std::uint32_t max_ejected) {
    return servers < 2 ? 0 : servers * max_ejected / 100;
}

void report_success(const PoolSnapshot& pool, const Server& server, bool trial, std::uint64_t now_ms) {
    ServerState& state = *server.state;
    if (state.failures_in_row.load(std::memory_order_relaxed) != 0) state.failures_in_row.store(0);
    if (!trial) return;
    state.returned_at_ms.store(now_ms);
    if (server.slow_start_ms != 0) state.slow_start_from_ms.store(now_ms);
    state.ejected_until_ms.store(0);
    state.on_trial.store(false);
    pool.state->changed();
    base::log_info("server {} is back: its trial request succeeded", state.name);
}

void report_failure(const PoolSnapshot& pool, const Server& server, bool trial, std::string_view reason,
                    std::uint64_t now_ms) {
    ServerState& state = *server.state;
    const config::OutlierConfig& config = pool.config.outlier;
    if (config.failures == 0) return;
    if (trial) {
        eject(pool, server, 1, reason, now_ms);
        return;
    }
    const std::uint32_t failures = state.failures_in_row.fetch_add(1) + 1;
    if (failures < config.failures || !may_eject(pool, server)) return;
    // Exchanges that began before an ejection may still fail during it. Workers may come here together: one
    // of them ejects this server, and whoever finds too many out with its own takes it back.
    std::uint64_t in = 0;
    if (!state.ejected_until_ms.compare_exchange_strong(in, now_ms + backoff_ms(config, 0))) return;
    if (!may_eject(pool, server)) {
        state.ejected_until_ms.store(0);
        return;
    }
    eject(pool, server, failures, reason, now_ms);
}

void abandon_trial(const PoolSnapshot& pool, const Server& server) {
    server.state->on_trial.store(false);
    pool.state->changed();
}

}  // namespace palier::pool
