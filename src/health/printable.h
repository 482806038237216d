// Text that a server sent, made fit for a reason: one line of bounded length, in valid UTF-8.
// Thread: any; pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace palier::health {

/// Control characters and what is no UTF-8 become '?'; what is beyond `most` bytes becomes "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t most);

}  // namespace palier::health
