#include "config/mistakes.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>

namespace palier::config {

std::string Mistake::to_string() const {
    if (line == 0) return fmt::format("{}: {}", file, message);
    return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

std::string to_string(Place place) {
    const auto [line, column] = place.document->line_and_column(place.offset);
    return fmt::format("{}:{}:{}", place.document->name, line, column);
}

void Mistakes::add(Place place, std::string message) {
    const auto [line, column] = place.document->line_and_column(place.offset);
    found_.push_back({place, {place.document->name, line, column, std::move(message)}});
}

void Mistakes::add(const std::string& file, std::string message) {
    found_.push_back({{}, {file, 0, 0, std::move(message)}});
}

std::vector<Mistake> Mistakes::take(const std::vector<const Document*>& order) {
    std::unordered_map<const Document*, std::size_t> position;
    for (const Document* document : order) {
        position.emplace(document, position.size());
    }
    std::vector<std::tuple<std::size_t, std::size_t, std::size_t>> sorted;  // file, offset, when it was found
    sorted.reserve(found_.size());
    for (std::size_t i = 0; i < found_.size(); ++i) {
        sorted.emplace_back(position[found_[i].place.document], found_[i].place.offset, i);
    }
    std::ranges::sort(sorted);
    std::vector<Mistake> all;
    all.reserve(found_.size());
    for (const auto& [file, offset, index] : sorted) {
        all.push_back(std::move(found_[index].mistake));
    }
    found_.clear();
    return all;
}

}  // namespace palier::config
