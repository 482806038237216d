// [[pool.server]]: the servers of a pool.
// Thread: control only. Owner: one load.
#pragma once

#include "config/health.h"
#include "config/sections.h"

namespace palier::config {

/// Reads the pool's servers, and the keys of the pool `table` that are their defaults.
void read_servers(TableReader& table, PoolConfig& pool, const PoolProbes& probes, Reading& reading);

}  // namespace palier::config
