// [pool.outlier]: what live traffic may show before a server is ejected.
// Thread: control only. Owner: one load.
#pragma once

#include "config/table_reader.h"

namespace palier::config {

void read_outlier(TableReader& pool, OutlierConfig& outlier);

}  // namespace palier::config
