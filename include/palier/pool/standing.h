// Whether a server may get traffic, as its state says at one moment. Thread: any.
#pragma once

#include "palier/pool/pool_snapshot.h"

#include <cstdint>

namespace palier::pool {

/// Operators let it work, probes do not hold it down, live traffic has not ejected it (or its trial is due), and it
/// has a weight. It may still be at its limit of connections.
[[nodiscard]] bool usable(const Server& server, std::uint64_t now_ms);

/// failback = "manual": its passive servers have taken over and keep the traffic.
[[nodiscard]] bool held_by_passive(const PoolSnapshot& pool);
/// Ends that: its active servers get the traffic again, where they are usable.
void fail_back(PoolState& pool);

/// The weight of a server that came back `age_ms` ago and takes `slow_start_ms` to reach its full weight:
/// linear, but never under a hundredth, so that it does warm up. `weight` is in units that make a hundredth
/// of it worth at least 1.
[[nodiscard]] std::uint32_t growing_weight(std::uint32_t weight, std::uint64_t age_ms,
                                           std::uint64_t slow_start_ms);

}  // namespace palier::pool
