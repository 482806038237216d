// A route's path, brought to the form in which requests' paths are compared with it.
// Thread: any; pure.
#pragma once

#include "palier/base/result.h"

#include <string>
#include <string_view>

namespace palier::config {

struct RoutePath {
    std::string path;
    bool exact = false;
};

/// "/prefix" or "=/exact". Escaped unreserved characters (RFC 3986 section 2.3) are decoded and other escapes
/// get upper-case digits. What no request's canonical path can hold is refused. The error completes
/// `"…" `.
[[nodiscard]] base::Result<RoutePath> parse_route_path(std::string_view text);

}  // namespace palier::config
