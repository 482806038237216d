// The Accept field (RFC 9110 section 12.5.1), as far as choosing an error page's form needs it.
// Thread: any.
#pragma once

#include <string_view>

namespace palier::proxy {

/// Whether an Accept field's value prefers application/json to text/html. Of two equal weights the more
/// specific range wins, then HTML.
[[nodiscard]] bool prefers_json(std::string_view accept);

}  // namespace palier::proxy
