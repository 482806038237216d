#include "health/printable.h"

#include <algorithm>

namespace palier::health {
namespace {

/// The bytes of the character at the front of `text`; 0 if it is none, or one to be hidden.
[[nodiscard]] std::size_t character_size(std::string_view text) {
    const auto at = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned first = at(0);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
    const std::string_view rest = text.substr(1, size - 1);
    const bool continued = std::all_of(rest.begin(), rest.end(), [](char c) { return (c & 0xc0) == 0x80; });
    if (!continued) return 0;
    // C1 controls, overlong forms, surrogates, beyond U+10FFFF (RFC 3629 section 4).
    const unsigned second = at(1);
    if ((first == 0xc2 && second < 0xa0) || (first == 0xe0 && second < 0xa0) ||
        (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f)) {
        return 0;
    }
    return size;
}

}  // namespace

std::string printable(std::string_view text, std::size_t most) {
    std::string clean;
    clean.reserve(std::min(text.size(), most + 3));
    while (!text.empty()) {
        const std::size_t size = character_size(text);
        const std::string_view character = size == 0 ? std::string_view("?") : text.substr(0, size);
        if (clean.size() + character.size() > most) return clean + "...";
        clean.append(character);
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return clean;
}

}  // namespace palier::health
