#include "control/rollout_words.h"

#include "palier/config/nearest.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::array<std::string_view, 4> kPlaceholders{"pool", "server", "address", "node"};

const std::string* value_of(std::string_view name, const RolloutPlace& place) {
    if (name == "pool") return &place.pool;
    if (name == "server") return &place.server;
    if (name == "address") return &place.address;
    if (name == "node") return &place.node;
    return nullptr;
}

/// Calls `text` for what stands between placeholders, `name` for what is in braces and might be one.
template <typename Text, typename Name>
void walk(std::string_view word, Text text, Name name) {
    while (!word.empty()) {
        const std::size_t open = std::min(word.find('{'), word.size());
        text(word.substr(0, open));
        word.remove_prefix(open);
        if (word.empty()) return;
        const std::size_t close = word.find('}');
        if (close == std::string_view::npos) {
            text(word);
            return;
        }
        // The innermost brace counts: {{server}.
        const std::size_t last = word.substr(0, close).rfind('{');
        text(word.substr(0, last));
        name(word.substr(last + 1, close - last - 1));
        word.remove_prefix(close + 1);
    }
}

template <typename Value>
std::string filled_with(std::string_view word, const RolloutPlace& place, Value written) {
    std::string result;
    walk(
        word, [&](std::string_view text) { result += text; },
        [&](std::string_view name) {
            const std::string* value = value_of(name, place);
            result += value != nullptr ? written(*value) : fmt::format("{{{}}}", name);
        });
    return result;
}

std::string for_shell(const std::string& value) {
    const auto harmless = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("._:/@%+,-").find(c) != std::string_view::npos;
    };
    if (!value.empty() && std::ranges::all_of(value, harmless)) return value;
    std::string quoted = "'";
    for (const char c : value)
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

std::string misspelt_in(std::string_view command) {
    std::string fault;
    walk(
        command, [](std::string_view) {},
        [&](std::string_view name) {
            if (!fault.empty() || std::ranges::find(kPlaceholders, name) != kPlaceholders.end()) return;
            const std::string_view near = config::nearest(name, kPlaceholders);
            if (!near.empty()) fault = fmt::format("there is no {{{}}}; did you mean {{{}}}?", name, near);
        });
    return fault;
}

/// Takes one word off `rest`, which begins with it.
std::optional<std::string> take_word(std::string_view& rest) {
    std::string word;
    char quote = 0;
    while (!rest.empty() && (quote != 0 || rest.front() != ' ')) {
        const char c = rest.front();
        rest.remove_prefix(1);
        if (c == quote) {
            quote = 0;
        } else if (quote == 0 && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '\\' && !rest.empty() &&
                   (quote == 0 || (quote == '"' && (rest.front() == '"' || rest.front() == '\\')))) {
            word += rest.front();
            rest.remove_prefix(1);
        } else {
            word += c;
        }
    }
    if (quote != 0) return std::nullopt;
    return word;
}

}  // namespace

base::Result<std::vector<std::string>> split_words(std::string_view command) {
    if (std::string fault = misspelt_in(command); !fault.empty()) return base::failure(std::move(fault));
    std::vector<std::string> words;
    while (true) {
        command.remove_prefix(std::min(command.find_first_not_of(' '), command.size()));
        if (command.empty()) break;
        auto word = take_word(command);
        if (!word) return base::failure("a quote is never closed");
        words.push_back(std::move(*word));
    }
    if (words.empty() || words.front().empty()) return base::failure("it names no program");
    return words;
}

std::string filled(std::string_view word, const RolloutPlace& place) {
    return filled_with(word, place, [](const std::string& value) { return value; });
}

std::string filled_for_shell(std::string_view script, const RolloutPlace& place) {
    return filled_with(script, place, for_shell);
}

}  // namespace palier::control
