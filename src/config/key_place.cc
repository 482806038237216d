#include "config/key_place.h"

#include <algorithm>

namespace palier::config {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kBare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// The end of the bare or quoted key that starts at `at`.
std::size_t key_end(std::string_view text, std::size_t at) {
    const char quote = text[at];
    if (quote != '"' && quote != '\'') return std::min(text.find_first_not_of(kBare, at), text.size());
    std::size_t i = at + 1;
    while (i < text.size() && text[i] != quote) {
        i += quote == '"' && text[i] == '\\' ? 2 : 1;
    }
    return std::min(i + 1, text.size());
}

/// The start of the bare or quoted key whose last byte is at `last`.
std::size_t key_start(std::string_view text, std::size_t last) {
    const char quote = text[last];
    if (quote != '"' && quote != '\'') {
        const std::size_t before = text.find_last_not_of(kBare, last);
        return before == std::string_view::npos ? 0 : before + 1;
    }
    std::size_t at = last;
    do {
        at = at == 0 ? std::string_view::npos : text.rfind(quote, at - 1);
        if (at == std::string_view::npos) return last;
    } while (quote == '"' && at > 0 && text[at - 1] == '\\');
    return at;
}

/// The last part of the dotted key at `at` that reads `key`; its first part when none does.
std::size_t part_of_dotted(std::string_view text, std::size_t at, std::string_view key) {
    std::size_t found = at;
    while (at < text.size()) {
        const std::size_t end = key_end(text, at);
        const bool quoted = text[at] == '"' || text[at] == '\'';
        const std::string_view part = quoted ? text.substr(at + 1, end - at - 2) : text.substr(at, end - at);
        if (part == key) found = at;
        const std::size_t dot = text.find_first_not_of(kBlanks, end);
        if (dot == std::string_view::npos || text[dot] != '.') break;
        at = std::min(text.find_first_not_of(kBlanks, dot + 1), text.size());
    }
    return found;
}

}  // namespace

std::size_t key_offset(std::string_view text, std::size_t start, std::string_view key) {
    const std::size_t before =
        start == 0 ? std::string_view::npos : text.find_last_not_of(kBlanks, start - 1);
    if (before != std::string_view::npos && text[before] == '=') {
        const std::size_t last =
            before == 0 ? std::string_view::npos : text.find_last_not_of(kBlanks, before - 1);
        return last == std::string_view::npos ? start : key_start(text, last);
    }
    const std::size_t name = text.find_first_not_of("[ \t", start);
    return name == std::string_view::npos ? start : part_of_dotted(text, name, key);
}

}  // namespace palier::config
