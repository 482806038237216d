#include "config/sections.h"
#include "palier/config/name.h"
#include "palier/config/nearest.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace palier::config {

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte > ' ' && byte != 0x7f && c != '/' && c != '=' && c != '"' && c != '\\';
    });
}

std::string Names::read(TableReader& table, std::string_view kind, std::size_t index, Mistakes& mistakes) {
    const Node* node = table.required_text("name");
    if (node == nullptr) {
        complete_ = false;
        return "";
    }
    if (!is_name(node->string)) {
        mistakes.add(
            node->place(),
            fmt::format(
                "\"{}\" must be a word of 1 to {} characters, without spaces, \"/\", \"=\", \"\\\" or quotes",
                table.path_of("name"), kLongestName));
    }
    const auto [earlier, is_new] = by_name_.try_emplace(node->string, Named{index, node->place()});
    if (!is_new) {
        mistakes.add(node->place(), fmt::format("there are two {}s \"{}\"; the first is at {}", kind,
                                                node->string, to_string(earlier->second.place)));
    }
    return node->string;
}

std::optional<std::size_t> Names::resolve(std::string_view name, Place place, std::string_view kind,
                                          Mistakes& mistakes) const {
    if (const auto found = by_name_.find(std::string(name)); found != by_name_.end())
        return found->second.index;
    if (!complete_) return std::nullopt;
    std::vector<std::string_view> known;
    known.reserve(by_name_.size());
    for (const auto& [known_name, named] : by_name_) {
        known.push_back(known_name);
    }
    std::ranges::sort(known);
    mistakes.add(place, fmt::format("there is no {} \"{}\"{}", kind, name, suggestion(name, known)));
    return std::nullopt;
}

}  // namespace palier::config
