// Names of listeners, pools and servers. They are words of the control protocol, where "/" joins a pool and a server.
// Thread: any; pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace palier::config {

constexpr std::size_t kLongestName = 128;

/// 1 to kLongestName bytes without spaces, control characters, "/", "=", "\" and double quotes.
[[nodiscard]] bool is_name(std::string_view name);

}  // namespace palier::config
