// The canonical form of a request's path, made once, before routing (RFC 3986 section 6.2.2).
// Thread: any; pure.
#pragma once

#include <string>
#include <string_view>

namespace palier::http {

struct CanonicalPath {
    bool ok = true;                // false: refuse with 400
    bool forward_changed = false;  // true: forward `forward` in place of the client's bytes
    std::string_view match;        // the path without its query, for the router
    std::string_view forward;      // path and query to send on
    // Both views point into the target or into `storage`.
};

/// `target`: "/path?query", or "*", which stays as it is. Dot segments are resolved ("%2e" counts as a dot),
/// unreserved characters are decoded for matching and other escapes get upper-case digits there; %2F stays
/// opaque, empty segments stay. Refused: control characters, space and '#' anywhere; %00, a bad %-escape and
/// backslashes (raw and %5C) in the path, while the query is the application's business; a path that climbs
/// above "/". When dot segments were resolved, `forward` is the resolved path with the client's query;
/// otherwise it is the client's bytes. `storage` is used only where something changes (no allocation in the
/// common case, capacity is reused).
[[nodiscard]] CanonicalPath canonical_path(std::string_view target, std::string& storage);

}  // namespace palier::http
