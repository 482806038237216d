// ready_when = ["pool:web"]: which pools must have a usable server for palier to call itself ready.
// Thread: control only. Owner: one load.
#pragma once

#include "config/sections.h"

namespace palier::config {

/// Comes after the pools.
void read_ready_when(TableReader& root, Reading& reading);

}  // namespace palier::config
