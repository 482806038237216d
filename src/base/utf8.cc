#include "palier/base/utf8.h"

#include <algorithm>

namespace palier::base {

std::size_t utf8_size(std::string_view text) {
    if (text.empty()) return 0;
    const auto at = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned first = at(0);
    if (first < 0x80) return 1;
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
    const std::string_view rest = text.substr(1, size - 1);
    const bool continued = std::all_of(rest.begin(), rest.end(), [](char c) { return (c & 0xc0) == 0x80; });
    if (!continued) return 0;
    // Overlong forms, surrogates, beyond U+10FFFF.
    const unsigned second = at(1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
        return 0;
    }
    return size;
}

bool is_control(std::string_view character) {
    const auto first = static_cast<unsigned char>(character.front());
    if (character.size() == 1) return first < 0x20 || first == 0x7f;
    return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

std::string printable(std::string_view text, std::size_t most) {
    std::string clean;
    clean.reserve(std::min(text.size(), most));
    while (!text.empty()) {
        const std::size_t size = utf8_size(text);
        const bool shown = size != 0 && !is_control(text.substr(0, size));
        const std::string_view character = shown ? text.substr(0, size) : "?";
        if (clean.size() + character.size() > most) return clean + "...";
        clean.append(character);
        text.remove_prefix(shown ? size : 1);
    }
    return clean;
}

}  // namespace palier::base
