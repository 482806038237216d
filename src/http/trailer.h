// A trailer section checked and rewritten (RFC 9110 section 6.5).
// Thread: any; pure.
#pragma once

#include "palier/http/message.h"

#include <string>
#include <string_view>

namespace palier::http {

/// Whether `field` may come in a trailer section, and be written on: RFC 9110 section 6.5.1 forbids what
/// frames, routes, authenticates, modifies the request or tells how to read the content.
[[nodiscard]] bool may_be_trailer(const Field& field);

void append_line(std::string& out, const Field& field);

/// `section`: field lines with the empty line at their end. False where it is malformed; else `out` is
/// "Name: value\r\n" of each field that may be a trailer.
[[nodiscard]] bool rewrite_trailers(std::string_view section, std::string& out);

}  // namespace palier::http
