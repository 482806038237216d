// Character classes and case-insensitive comparison for protocol elements (RFC 9110 section 5.6).
// Thread: any; pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace palier::http {

enum CharClass : std::uint8_t {
    kToken = 1,    // tchar
    kHost = 2,     // of a registered name or IPv4 address in an authority
    kControl = 4,  // 0x00-0x1f and 0x7f, HT included
    kAlnum = 8,
};

constexpr std::array<std::uint8_t, 256> make_char_classes() {
    std::array<std::uint8_t, 256> classes{};
    for (unsigned c = 0; c < 256; ++c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (letter || (c >= '0' && c <= '9')) classes[c] |= kToken | kHost | kAlnum;
        if (c < 0x20 || c == 0x7f) classes[c] |= kControl;
    }
    for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
        classes[static_cast<unsigned char>(c)] |= kToken;
    for (const char c : std::string_view("-._~"))
        classes[static_cast<unsigned char>(c)] |= kHost;
    return classes;
}

inline constexpr std::array<std::uint8_t, 256> kCharClasses = make_char_classes();

[[nodiscard]] constexpr bool is(CharClass wanted, char c) {
    return (kCharClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}

[[nodiscard]] constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
[[nodiscard]] constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

[[nodiscard]] constexpr char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

/// The value of a hexadecimal digit, or -1.
[[nodiscard]] constexpr int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    const char lower = to_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// `lower` is in lower case.
[[nodiscard]] constexpr bool equals_icase(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (to_lower(text[i]) != lower[i]) return false;
    }
    return true;
}

[[nodiscard]] constexpr bool starts_with_icase(std::string_view text, std::string_view lower) {
    return text.size() >= lower.size() && equals_icase(text.substr(0, lower.size()), lower);
}

[[nodiscard]] constexpr std::string_view trim_blanks(std::string_view text) {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

/// Calls `visit` with each non-empty element of a comma-separated list (RFC 9110 section 5.6.1).
template <typename Visit>
constexpr void for_each_element(std::string_view list, Visit visit) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        const std::string_view element = trim_blanks(list.substr(0, comma));
        if (!element.empty()) visit(element);
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
}

}  // namespace palier::http
