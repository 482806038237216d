#include "palier/control/command_line.h"

#include "palier/base/utf8.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace palier::control {
namespace {

struct Option {
    std::string_view key;
    std::string_view value;
};

std::optional<Option> option_of(std::string_view word) {
    const std::size_t size = std::min(word.find('='), word.size());
    const auto of_key = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
    if (size == 0 || size == word.size() || !std::ranges::all_of(word.substr(0, size), of_key)) return {};
    return Option{word.substr(0, size), word.substr(size + 1)};
}

/// Splits a line into words, character by character.
class Splitter {
  public:
    explicit Splitter(std::string_view line) : rest_(line) {}

    /// The next word, or none at the line's end.
    [[nodiscard]] base::Result<std::optional<std::string>> next() {
        while (rest_.starts_with(' '))
            take(1);
        if (rest_.empty()) return std::nullopt;
        word_column_ = column_;
        std::string word;
        while (!rest_.empty() && rest_.front() != ' ') {
            const auto added = rest_.front() == '"' ? add_quoted(word) : add_character(word);
            if (!added) return std::unexpected(added.error());
        }
        return word;
    }
    /// Where the word that next() gave last begins.
    [[nodiscard]] std::size_t word_column() const { return word_column_; }

  private:
    void take(std::size_t bytes) {
        rest_.remove_prefix(bytes);
        ++column_;
    }

    [[nodiscard]] base::Result<void> add_character(std::string& word) {
        const std::size_t size = base::utf8_size(rest_);
        const auto byte = static_cast<unsigned char>(rest_.front());
        if (size == 0)
            return base::failure(fmt::format("column {}: byte 0x{:02x} is no UTF-8", column_, byte));
        const std::string_view character = rest_.substr(0, size);
        if (base::is_control(character))
            return base::failure(fmt::format("column {}: a control character", column_));
        word += character;
        take(size);
        return {};
    }

    [[nodiscard]] base::Result<void> add_quoted(std::string& word) {
        const std::size_t opened = column_;
        take(1);
        while (!rest_.empty() && rest_.front() != '"') {
            if (rest_.front() == '\\') {
                const char escaped = rest_.size() > 1 ? rest_[1] : ' ';
                if (escaped != '"' && escaped != '\\')
                    return base::failure(
                        fmt::format("column {}: in quotes, \\ goes before \" or \\ only", column_));
                take(1);
            }
            if (const auto added = add_character(word); !added) return added;
        }
        if (rest_.empty()) return base::failure(fmt::format("column {}: the quote is never closed", opened));
        take(1);
        return {};
    }

    std::string_view rest_;
    std::size_t column_ = 1;
    std::size_t word_column_ = 1;
};

std::string in_quotes_if_needed(std::string_view text) {
    const bool plain = !text.empty() && text.find_first_of(" \"") == std::string_view::npos;
    if (plain) return std::string(text);
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted += '"';
}

}  // namespace

base::Result<Request> parse_line(std::string_view line) {
    Splitter splitter(line);
    Request request;
    const auto command = splitter.next();
    if (!command) return std::unexpected(command.error());
    if (!*command) return request;
    if ((*command)->empty() || option_of(**command))
        return base::failure(
            fmt::format("column {}: a line begins with its command", splitter.word_column()));
    request.command = **command;
    while (true) {
        auto word = splitter.next();
        if (!word) return std::unexpected(word.error());
        if (!*word) return request;
        const auto option = option_of(**word);
        if (!option) {
            request.words.push_back(std::move(**word));
        } else if (!request.options.try_emplace(std::string(option->key), option->value).second) {
            return base::failure(
                fmt::format("column {}: {}= is there twice", splitter.word_column(), option->key));
        }
    }
}

std::string quoted(std::string_view word) {
    const auto option = option_of(word);
    if (!option) return in_quotes_if_needed(word);
    return fmt::format("{}={}", option->key, in_quotes_if_needed(option->value));
}

std::string line_of(const Request& request) {
    std::string line = quoted(request.command);
    for (const std::string& word : request.words)
        line += ' ' + quoted(word);
    for (const auto& [key, value] : request.options)
        line += ' ' + quoted(key + '=' + value);
    return line;
}

}  // namespace palier::control
