#include "config/route_path.h"

#include <optional>

#include <fmt/format.h>

namespace palier::config {
namespace {

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

bool has_dot_segment(std::string_view path) {
    while (!path.empty()) {
        path.remove_prefix(1);
        const std::string_view segment = path.substr(0, path.find('/'));
        if (segment == "." || segment == "..") return true;
        path.remove_prefix(segment.size());
    }
    return false;
}

base::Result<std::string> canonical(std::string_view path) {
    std::string out;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const char c = path[i];
        if (c == '?') return base::failure("must end before \"?\": queries have no part in routing");
        if (static_cast<unsigned char>(c) >= 0x80)
            return base::failure("must be written as it travels, with %-escapes");
        if (c <= ' ' || c == 0x7f || c == '#' || c == '\\')
            return base::failure("holds a character that no path can have");
        if (c != '%') {
            out += c;
            continue;
        }
        const auto high = i + 2 < path.size() ? hex_digit(path[i + 1]) : std::nullopt;
        const auto low = i + 2 < path.size() ? hex_digit(path[i + 2]) : std::nullopt;
        if (!high || !low) return base::failure("has a \"%\" without two hexadecimal digits");
        const auto byte = static_cast<char>(*high * 16 + *low);
        if (byte == '\0' || byte == '\\') return base::failure("holds a character that no path can have");
        if (is_unreserved(byte)) {
            out += byte;
        } else {
            out += fmt::format("%{:02X}", *high * 16 + *low);
        }
        i += 2;
    }
    if (has_dot_segment(out))
        return base::failure("never matches: \".\" and \"..\" are resolved before routing");
    return out;
}

}  // namespace

base::Result<RoutePath> parse_route_path(std::string_view text) {
    const bool exact = text.starts_with('=');
    if (exact) text.remove_prefix(1);
    if (!text.starts_with('/'))
        return base::failure("must begin with \"/\", or with \"=/\" for one path only");
    auto path = canonical(text);
    if (!path) return std::unexpected(path.error());
    return RoutePath{std::move(*path), exact};
}

}  // namespace palier::config
