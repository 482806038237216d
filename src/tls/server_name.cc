#include "tls/server_name.h"

#include <cstdint>

namespace palier::tls {
namespace {

constexpr std::uint8_t kHostName = 0;

/// Takes a 16 bit length and as many bytes off the front.
std::optional<std::string_view> take_vector(std::string_view& bytes) {
    if (bytes.size() < 2) return std::nullopt;
    const auto high = static_cast<std::uint8_t>(bytes[0]);
    const auto low = static_cast<std::uint8_t>(bytes[1]);
    const std::size_t size = static_cast<std::size_t>(high) << 8 | low;
    if (size > bytes.size() - 2) return std::nullopt;
    const std::string_view content = bytes.substr(2, size);
    bytes.remove_prefix(2 + size);
    return content;
}

}  // namespace

std::optional<std::string_view> read_server_name(std::string_view extension) {
    auto list = take_vector(extension);
    if (!list || list->empty() || !extension.empty()) return std::nullopt;
    std::string_view found;
    while (!list->empty()) {
        const auto type = static_cast<std::uint8_t>(list->front());
        list->remove_prefix(1);
        const auto name = take_vector(*list);
        if (!name || name->empty()) return std::nullopt;
        if (type != kHostName) continue;
        if (!found.empty()) return std::nullopt;
        found = *name;
    }
    return found;
}

}  // namespace palier::tls
