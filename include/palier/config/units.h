// Durations ("250ms", "2s", "5m", "1h", "30d") and sizes ("64KiB", "1024", "0").
// Thread: any; pure.
#pragma once

#include "palier/base/result.h"
#include "palier/config/config.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace palier::config {

/// The longest duration a file may say: a week.
constexpr Duration kLongest = std::chrono::days(7);

/// A whole number and ms, s, m, h or d. The error completes "must be a duration such as …".
[[nodiscard]] base::Result<Duration> parse_duration(std::string_view text);

/// A whole number and nothing, B, KiB, MiB, GiB or TiB. The error completes "must be a size such as …".
[[nodiscard]] base::Result<std::uint64_t> parse_size(std::string_view text);

/// In the largest unit that leaves a whole number.
[[nodiscard]] std::string to_text(Duration duration);
[[nodiscard]] std::string size_to_text(std::uint64_t bytes);

}  // namespace palier::config
