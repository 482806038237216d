#include "config/syntax_error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace palier::config {
namespace {

struct Phrase {
    std::string_view toml11;
    std::string_view ours;
};

constexpr std::array<Phrase, 14> kPhrases{{
    {"unknown value appeared", "this is not a value; a string needs double quotes"},
    {"missing key-value separator", "\"=\" is missing after the key"},
    {"missing value after", "a value is missing after \"=\""},
    {"invalid format for key", "this cannot be part of a key; \"=\" is expected after one word"},
    {"empty key is not allowed", "a key is missing before \"=\""},
    {"not a valid string",
     "the string has no end, or a \"\\\" that means nothing; write \"\\\\\" for a backslash"},
    {"not a valid multiline string", "the string has no end, or a \"\\\" that means nothing"},
    {"invalid key appeared", "this is neither a key nor the header of a table"},
    {"missing curly brace", "\"}\" is missing"},
    {"missing table separator", "\",\" is missing between two keys"},
    {"missing array separator", "\",\" is missing between two values"},
    {"invalid format appeared in an array", "this is not a value, or the \"]\" of a list is missing"},
    {"invalid utf8", "the text is not UTF-8"},
    {"newline required after", "the line must end after the header of a table"},
}};

std::string_view next_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    return line;
}

/// The places that toml11 marked: a line " 12 | text of the file" and under it "    |   ^--- comment".
std::vector<Mark> marks_in(std::string_view what) {
    std::vector<Mark> marks;
    std::size_t line_number = 0;
    while (!what.empty()) {
        const std::string_view line = next_line(what);
        const std::size_t first = line.find_first_not_of(' ');
        const std::size_t bar = line.find(" | ");
        if (first == std::string_view::npos || bar == std::string_view::npos) continue;
        if (line[first] >= '0' && line[first] <= '9') {
            line_number = 0;
            std::from_chars(line.data() + first, line.data() + line.size(), line_number);
        } else if (line[first] == '|' && line_number != 0) {
            const std::size_t mark = line.find_first_not_of(' ', bar + 3);
            if (mark == std::string_view::npos || (line[mark] != '^' && line[mark] != '~')) continue;
            marks.push_back({line_number, mark - (bar + 3) + 1});
            line_number = 0;
        }
    }
    return marks;
}

/// toml11's own words without "[error] toml::function: ".
std::string_view plain_words(std::string_view what) {
    std::string_view words = next_line(what);
    if (words.starts_with("[error] ")) words.remove_prefix(8);
    if (const std::size_t colon = words.find(": "); colon != std::string_view::npos)
        words.remove_prefix(colon + 2);
    return words.empty() ? "this is not TOML" : words;
}

/// The name in `value ("name") already exists`.
std::string_view quoted_name(std::string_view words) {
    const std::size_t open = words.find("(\"");
    const std::size_t close = words.find("\")", std::min(open, words.size()));
    if (open == std::string_view::npos || close == std::string_view::npos) return words;
    return words.substr(open + 2, close - open - 2);
}

std::string after_value(const Document& document, Mark mark) {
    const std::string_view line = document.line(mark.line);
    const bool behind_digit = mark.column >= 2 && mark.column <= line.size() &&
                              line[mark.column - 2] >= '0' && line[mark.column - 2] <= '9' &&
                              line[mark.column - 1] != ' ';
    return behind_digit ? "the line must end after the number; values such as \"2s\", \"64KiB\" or "
                          "\"10.0.0.1:80\" are "
                          "strings in double quotes"
                        : "the line must end after the value; a string needs double quotes";
}

std::string sentence(std::string_view what, const std::vector<Mark>& marks, Mark mark,
                     const Document& document) {
    const std::string_view words = plain_words(what);
    if (words.find("invalid line format") != std::string_view::npos) return after_value(document, mark);
    if (marks.size() > 1 && words.find("already exists") != std::string_view::npos) {
        return fmt::format("\"{}\" is set twice; the first time in line {}", quoted_name(words),
                           marks.front().line);
    }
    const bool conflict = words.find("collides") != std::string_view::npos ||
                          words.find("cannot be defined") != std::string_view::npos ||
                          words.find("neither table nor") != std::string_view::npos;
    if (marks.size() > 1 && conflict) {
        return fmt::format("this table conflicts with line {}, where its name has another kind of value",
                           marks.front().line);
    }
    for (const Phrase& phrase : kPhrases) {
        if (words.find(phrase.toml11) == std::string_view::npos) continue;
        std::string ours(phrase.ours);
        if (marks.size() > 1 && marks.front().line != mark.line) {
            ours += fmt::format(" (it starts in line {})", marks.front().line);
        }
        return ours;
    }
    return std::string(words);
}

/// Whether a line is one "key = value" and nothing that goes on in the next.
bool is_one_setting(std::string_view line) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = line.substr(0, equals);
    const bool plain_key = std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-' || c == '.' || c == ' ' || c == '\t';
    });
    const auto balanced = [&](char open, char close) {
        return std::ranges::count(line, open) == std::ranges::count(line, close);
    };
    return plain_key && balanced('[', ']') && balanced('{', '}') &&
           line.find("\"\"\"") == std::string_view::npos && line.find("'''") == std::string_view::npos;
}

}  // namespace

SyntaxError understand(std::string_view what, Mark fallback, const Document& document) {
    const std::vector<Mark> marks = marks_in(what);
    Mark mark = marks.empty() ? fallback : marks.back();
    const std::string_view line = document.line(mark.line);
    while (mark.column <= line.size() && line[mark.column - 1] == ' ') {
        ++mark.column;
    }
    const bool doubled = plain_words(what).find("already exists") != std::string_view::npos;
    const bool in_one_line = std::ranges::all_of(marks, [&](Mark each) { return each.line == mark.line; });
    return {mark.line, mark.column, sentence(what, marks, mark, document),
            (doubled || in_one_line) && is_one_setting(line)};
}

}  // namespace palier::config
