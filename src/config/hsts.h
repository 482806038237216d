// hsts = { max_age = "365d", include_subdomains = true, preload = false } as a field's value (RFC 6797).
// Thread: control only.
#pragma once

#include "config/table_reader.h"

#include <string>

namespace palier::config {

/// The value of Strict-Transport-Security that the "hsts" of `listener` asks for; "" without one.
[[nodiscard]] std::string read_hsts(TableReader& listener);

}  // namespace palier::config
