// Answers that palier makes itself: error pages, redirects and fixed responses, as whole HTTP/1.1 messages.
// They alone carry `Server: palier`. Whatever a client could have put into them is escaped.
// In all of them: `head_request` leaves the body out and keeps its Content-Length; without `keep_alive` there
// is `Connection: close`; `http_date` is WallClock::http_date(); `extra_fields` are whole field lines, each
// with its CRLF, and must be trusted. Thread: worker only.
#pragma once

#include "palier/base/buffer.h"

#include <optional>
#include <string_view>

namespace palier::proxy {

/// "Not Found" for 404; a general phrase for codes that RFC 9110 and its registry do not name.
[[nodiscard]] std::string_view reason_phrase(int status);

/// An error page, as HTML or JSON by `accept` (the request's Accept field, or ""), never to be cached.
/// `sentence`: what its reader is told; "" for what is usual with this status.
void write_error_response(base::Buffer& out, int status, std::string_view accept, bool head_request,
                          bool keep_alive, std::string_view request_id, std::string_view http_date,
                          std::optional<unsigned> retry_after_seconds, std::string_view extra_fields = {},
                          std::string_view sentence = {});

/// A redirect. Bytes that have no place in a URL are percent-encoded in `location`.
void write_redirect(base::Buffer& out, int status, std::string_view location, bool head_request,
                    bool keep_alive, std::string_view http_date, std::string_view extra_fields = {});

/// `body` as it is; not to be cached when `status` is an error. For 204 and 304 the body is left out.
void write_fixed_response(base::Buffer& out, int status, std::string_view content_type, std::string_view body,
                          bool head_request, bool keep_alive, std::string_view http_date,
                          std::string_view extra_fields = {});

}  // namespace palier::proxy
