// A trailer section checked and rewritten (RFC 9110 section 6.5).
// Thread: any; pure.
#pragma once

#include <string>
#include <string_view>

namespace palier::http {

/// `section`: field lines with the empty line at their end. False where it is malformed; else `out` is
/// "Name: value\r\n" of each field that may be a trailer.
[[nodiscard]] bool rewrite_trailers(std::string_view section, std::string& out);

}  // namespace palier::http
