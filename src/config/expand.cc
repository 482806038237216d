#include "config/expand.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

namespace palier::config {
namespace {

bool is_variable_name(std::string_view name) {
    const auto letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
    return !name.empty() && letter(name.front()) &&
           std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// `inner` is what stands between the braces.
base::Result<std::string> value_of(std::string_view inner) {
    const std::size_t separator = inner.find(":-");
    const std::string name(inner.substr(0, separator));
    if (!is_variable_name(name)) {
        return base::failure(fmt::format(
            "\"${{{}}}\" is not an environment variable; write \"$${{\" for a plain \"${{\"", inner));
    }
    const char* value = std::getenv(name.c_str());
    if (separator != std::string_view::npos) {
        if (value == nullptr || *value == '\0') return std::string(inner.substr(separator + 2));
        return std::string(value);
    }
    if (value == nullptr) {
        return base::failure(fmt::format(
            "the environment variable {0} is not set; \"${{{0}:-…}}\" would give a default", name));
    }
    return std::string(value);
}

}  // namespace

base::Result<std::string> expand(std::string_view text) {
    std::string out;
    while (true) {
        const std::size_t dollar = text.find("${");
        if (dollar == std::string_view::npos) {
            out += text;
            return out;
        }
        if (dollar > 0 && text[dollar - 1] == '$') {
            out += text.substr(0, dollar - 1);
            out += "${";
            text.remove_prefix(dollar + 2);
            continue;
        }
        const std::size_t close = text.find('}', dollar);
        if (close == std::string_view::npos)
            return base::failure("\"${\" has no \"}\"; write \"$${\" for a plain \"${\"");
        const auto value = value_of(text.substr(dollar + 2, close - dollar - 2));
        if (!value) return value;
        out += text.substr(0, dollar);
        out += *value;
        text.remove_prefix(close + 1);
    }
}

void expand_strings(Node& node, Mistakes& mistakes) {
    if (node.kind == Node::Kind::string && node.string.find("${") != std::string::npos) {
        auto expanded = expand(node.string);
        node.expanded = true;
        if (expanded) {
            node.string = std::move(*expanded);
        } else {
            node.broken = true;
            mistakes.add(node.place(), expanded.error().message);
        }
    }
    for (Node& item : node.items) {
        expand_strings(item, mistakes);
    }
    for (Node::Entry& entry : node.entries) {
        expand_strings(entry.value, mistakes);
    }
}

}  // namespace palier::config
