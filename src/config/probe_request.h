// The keys of [pool.health] with type = "http": the request that a probe sends, and what it wants to see.
// Thread: control only. Owner: one load.
#pragma once

#include "config/table_reader.h"

#include <array>
#include <string_view>

namespace palier::config {

constexpr std::array<std::string_view, 7> kProbeRequestKeys{"method", "path",        "host",      "headers",
                                                            "expect", "expect_body", "keep_alive"};

/// Takes kProbeRequestKeys from `table` and leaves the rest.
void read_probe_request(TableReader& table, HealthConfig& health);

}  // namespace palier::config
