// The authority of a request: host and optional port (RFC 3986 section 3.2, RFC 9110 section 4.2).
// Thread: any; pure.
#pragma once

#include <optional>
#include <string_view>

namespace palier::http {

/// The host of `authority` without its port, brackets kept; nothing where it is invalid. Stricter than the
/// RFC: no userinfo, only letters, digits, '-', '.', '_' and '~' in names (no percent-encoding or sub-delims,
/// which DNS cannot hold and applications misread), real IPv6 addresses without zones, one to five digits
/// after ':'.
[[nodiscard]] std::optional<std::string_view> host_of(std::string_view authority);

}  // namespace palier::http
