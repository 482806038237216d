// TOML counts keys to the [table] above them. These were meant for the one further up.
// Thread: control only.
#pragma once

#include "config/table_reader.h"

#include <span>
#include <string_view>

namespace palier::config {

/// Reports those of `keys` that stand in `table` and belong to `owner` ("[[listener]]"), above it.
void report_misplaced(TableReader& table, std::span<const std::string_view> keys, std::string_view owner);

}  // namespace palier::config
