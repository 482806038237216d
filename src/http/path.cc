#include "palier/http/path.h"

#include "http/ascii.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace palier::http {
namespace {

/// How the first scan sees a byte of the path.
enum class Byte : std::uint8_t { plain, dot, query, special, bad };

constexpr std::array<Byte, 256> make_bytes() {
    std::array<Byte, 256> bytes{};
    for (unsigned c = 0; c < 256; ++c) {
        if (is(kControl, static_cast<char>(c))) bytes[c] = Byte::bad;
    }
    bytes[' '] = bytes['#'] = bytes['\\'] = Byte::bad;
    bytes['%'] = Byte::special;
    bytes['.'] = Byte::dot;
    bytes['?'] = Byte::query;
    return bytes;
}

constexpr std::array<Byte, 256> kBytes = make_bytes();

[[nodiscard]] Byte byte_of(char c) {
    return kBytes[static_cast<unsigned char>(c)];
}

/// RFC 3986 section 2.3.
[[nodiscard]] bool is_unreserved(char c) {
    return is(kAlnum, c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/// The query with its '?' is passed on as it is, but for what no request line can hold.
[[nodiscard]] bool is_clean_query(std::string_view query) {
    for (const char c : query) {
        if (is(kControl, c) || c == ' ' || c == '#') return false;
    }
    return true;
}

/// Where the first scan ends: at the query, at the first byte that needs the slow way, or at the end.
struct Scan {
    std::size_t end = 0;
    bool plain = true;
    bool ok = true;
};

[[nodiscard]] Scan scan(std::string_view target) {
    for (std::size_t i = 0; i < target.size(); ++i) {
        switch (byte_of(target[i])) {
            case Byte::plain:
                break;
            case Byte::dot:
                if (target[i - 1] == '/') return {i, false, true};
                break;
            case Byte::query:
                return {i, true, true};
            case Byte::special:
                return {i, false, true};
            case Byte::bad:
                return {i, false, false};
        }
    }
    return {target.size(), true, true};
}

/// Appends `path` to `out` with unreserved characters decoded and other escapes in upper case. False for a
/// bad byte or escape.
[[nodiscard]] bool decode(std::string_view path, std::string& out) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (byte_of(path[i]) == Byte::bad) return false;
        if (path[i] != '%') {
            out.push_back(path[i]);
            continue;
        }
        if (path.size() - i < 3) return false;
        const int high = hex_value(path[i + 1]);
        const int low = hex_value(path[i + 2]);
        if (high < 0 || low < 0) return false;
        const auto c = static_cast<char>(high * 16 + low);
        if (c == '\0' || c == '\\') return false;
        if (is_unreserved(c)) {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(kDigits[static_cast<std::size_t>(high)]);
            out.push_back(kDigits[static_cast<std::size_t>(low)]);
        }
        i += 2;
    }
    return true;
}

/// Resolves dot segments in place (RFC 3986 section 5.2.4). Returns whether there were any, or nothing where
/// the path climbs above "/".
[[nodiscard]] std::optional<bool> resolve_dots(std::string& path) {
    bool changed = false;
    std::size_t out = 0;  // path[0, out) is done, without a trailing '/'
    for (std::size_t at = 0; at < path.size();) {
        std::size_t next = path.find('/', at + 1);
        if (next == std::string::npos) next = path.size();
        const std::string_view segment = std::string_view(path).substr(at + 1, next - at - 1);
        if (segment == "." || segment == "..") {
            changed = true;
            if (segment == "..") {
                if (out == 0) return std::nullopt;
                out = path.rfind('/', out - 1);
            }
            if (next == path.size()) path[out++] = '/';
        } else {
            std::memmove(path.data() + out, path.data() + at, next - at);
            out += next - at;
        }
        at = next;
    }
    path.resize(out);
    return changed;
}

}  // namespace

CanonicalPath canonical_path(std::string_view target, std::string& storage) {
    constexpr CanonicalPath kRefused{.ok = false, .forward_changed = false, .match = {}, .forward = {}};
    if (target == "*") return {.match = target, .forward = target};
    if (!target.starts_with('/')) return kRefused;
    const Scan first = scan(target);
    if (!first.ok) return kRefused;
    const std::size_t path_size =
        first.plain ? first.end : std::min(target.find('?', first.end), target.size());
    const std::string_view query = target.substr(path_size);
    if (!is_clean_query(query)) return kRefused;
    if (first.plain) return {.match = target.substr(0, path_size), .forward = target};

    storage.clear();
    if (!decode(target.substr(0, path_size), storage)) return kRefused;
    const auto resolved = resolve_dots(storage);
    if (!resolved) return kRefused;
    const std::size_t match_size = storage.size();
    if (*resolved) storage.append(query);
    const std::string_view stored = storage;
    return {.forward_changed = *resolved,
            .match = stored.substr(0, match_size),
            .forward = *resolved ? stored : target};
}

}  // namespace palier::http
