// Foreign text made harmless for JSON, for log lines and for HTML. Each function writes at `out`, which must
// have room for the worst case, and returns the end of what it wrote.
// Thread: any.
#pragma once

#include <cstddef>
#include <string_view>

namespace palier::proxy {

/// The inside of a JSON string, always valid UTF-8: control bytes and bytes of invalid UTF-8 as \u00XX.
inline constexpr std::size_t kJsonExpansion = 6;
char* put_json_escaped(char* out, std::string_view text);

/// nginx's escaping of its log variables: quotes, backslashes and all that is not printable ASCII as \xXX.
inline constexpr std::size_t kLogExpansion = 4;
char* put_log_escaped(char* out, std::string_view text);

/// For HTML text and quoted attributes.
inline constexpr std::size_t kHtmlExpansion = 6;
char* put_html_escaped(char* out, std::string_view text);

}  // namespace palier::proxy
