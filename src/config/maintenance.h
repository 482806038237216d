// [pool.maintenance]: what clients get while an operator has the pool in maintenance.
// Thread: control only. Owner: one load.
#pragma once

#include "config/table_reader.h"

namespace palier::config {

void read_maintenance(TableReader& pool, MaintenanceConfig& maintenance);

}  // namespace palier::config
