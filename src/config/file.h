// Whole files, for configurations and the bodies of fixed responses.
// Thread: control only (blocks).
#pragma once

#include "palier/base/result.h"

#include <cstddef>
#include <string>

namespace palier::config {

/// All bytes of `path`; the error is the reason alone. Reads from pipes as well.
[[nodiscard]] base::Result<std::string> read_whole(const std::string& path);

/// The same for a regular file of at most `max` bytes.
[[nodiscard]] base::Result<std::string> read_regular(const std::string& path, std::size_t max);

}  // namespace palier::config
