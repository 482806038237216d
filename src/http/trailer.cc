#include "http/trailer.h"

#include "http/ascii.h"
#include "http/field_lines.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace palier::http {
namespace {

constexpr std::size_t kMaxTrailers = 128;

/// These besides the names that message.h knows and "Content-…".
constexpr std::array<std::string_view, 28> kForbidden{"age",
                                                      "authorization",
                                                      "cache-control",
                                                      "clear-site-data",
                                                      "early-data",
                                                      "expires",
                                                      "if-match",
                                                      "if-modified-since",
                                                      "if-none-match",
                                                      "if-range",
                                                      "if-unmodified-since",
                                                      "max-forwards",
                                                      "pragma",
                                                      "proxy-authentication-info",
                                                      "range",
                                                      "retry-after",
                                                      "set-cookie",
                                                      "status",
                                                      "vary",
                                                      "via",
                                                      "warning",
                                                      "www-authenticate",
                                                      "authentication-info",
                                                      "alt-svc",
                                                      "set-cookie2",
                                                      "strict-transport-security",
                                                      "x-accel-redirect",
                                                      "x-sendfile"};

}  // namespace

/// Every name with a rule of its own in message.h is forbidden too: framing, Host, hop-by-hop, forwarded
/// family, cookies, … And so are names that CGI would fold into another's ("Content_Length").
bool may_be_trailer(const Field& field) {
    if (field.known != Name::other || starts_with_icase(field.name, "content-")) return false;
    const bool plain =
        std::all_of(field.name.begin(), field.name.end(), [](char c) { return c == '-' || is(kAlnum, c); });
    return plain && std::none_of(kForbidden.begin(), kForbidden.end(), [&field](std::string_view forbidden) {
               return equals_icase(field.name, forbidden);
           });
}

void append_line(std::string& out, const Field& field) {
    out.append(field.name).append(": ").append(field.value).append("\r\n");
}

bool rewrite_trailers(std::string_view section, std::string& out) {
    std::vector<Field> fields;
    const FieldsResult result = parse_field_lines(section, kMaxTrailers, fields);
    if (result.state != FieldsState::complete || result.consumed != section.size()) return false;
    out.clear();
    for (const Field& field : fields) {
        if (may_be_trailer(field)) append_line(out, field);
    }
    return true;
}

}  // namespace palier::http
