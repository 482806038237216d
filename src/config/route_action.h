// What a route does with its requests: pool, redirect or respond.
// Thread: control only (reads the files of fixed responses).
#pragma once

#include "config/sections.h"

#include <string_view>

namespace palier::config {

void read_action(TableReader& route_table, RouteConfig& route, Reading& reading);

/// By the extension of a file's name.
[[nodiscard]] std::string_view content_type_of(std::string_view path);

}  // namespace palier::config
