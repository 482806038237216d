// A text in a file that only descriptors lead to: for what another process is to read, however long and secret it is.
// Thread: any.
#pragma once

#include "palier/base/result.h"

#include <string>
#include <string_view>

namespace palier::control {

/// The descriptor of a file that has `text`; the caller's.
[[nodiscard]] base::Result<int> memory_text(std::string_view text);
/// All that is in it, whatever was read of it before.
[[nodiscard]] base::Result<std::string> read_text(int descriptor);

}  // namespace palier::control
