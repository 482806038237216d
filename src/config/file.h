// Whole files, for configurations and the bodies of fixed responses, and whether others could read theirs.
// Thread: control only (blocks).
#pragma once

#include "palier/base/result.h"

#include <cstddef>
#include <string>

namespace palier::config {

/// Of a body that palier keeps in memory to answer with.
constexpr std::size_t kLargestPage = std::size_t{1} << 20;

/// All bytes of `path`; the error is the reason alone. Reads from pipes as well.
[[nodiscard]] base::Result<std::string> read_whole(const std::string& path);

/// The same for a regular file of at most `max` bytes.
[[nodiscard]] base::Result<std::string> read_regular(const std::string& path, std::size_t max);

/// Whether `path` is a regular file that can be opened; the error is the reason alone.
[[nodiscard]] base::Result<void> check_file(const std::string& path);

/// The same, or a directory that can be listed.
[[nodiscard]] base::Result<void> check_file_or_directory(const std::string& path);

}  // namespace palier::config
