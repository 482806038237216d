// Users and groups of this machine, by name or number.
// Thread: control only (asks the system's databases, which may block).
#pragma once

#include "palier/base/result.h"

#include <cstdint>
#include <string>

namespace palier::config {

/// The number of a user or group. The error is a whole sentence.
[[nodiscard]] base::Result<std::uint32_t> user_number(const std::string& text);
[[nodiscard]] base::Result<std::uint32_t> group_number(const std::string& text);

}  // namespace palier::config
