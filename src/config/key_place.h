// Where a key stands. toml11 gives the places of values and table headers only.
// Thread: any; pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace palier::config {

/// `start` is where toml11 says that the value of `key` is: behind the "=", or at the header ([a.key],
/// [[a.key]]) or dotted key (a.key = …) that made it. `text` is well-formed TOML.
[[nodiscard]] std::size_t key_offset(std::string_view text, std::size_t start, std::string_view key);

}  // namespace palier::config
