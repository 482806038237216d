#include "config/ready_when.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::string_view kPrefix = "pool:";

/// `; did you mean "pool:web"?` for what names a pool, or comes with a prefix other than ours.
std::string suggestion_for(std::string_view text, const Config& config) {
    const std::string_view name = text.substr(text.rfind(':') + 1);
    const bool known = std::ranges::find(config.pools, name, &PoolConfig::name) != config.pools.end();
    return known && !name.empty() ? fmt::format("; did you mean \"{}{}\"?", kPrefix, name) : "";
}

}  // namespace

void read_ready_when(TableReader& root, Reading& reading) {
    std::vector<std::size_t>& pools = reading.config.ready_when;
    for (const Node* text : root.texts("ready_when")) {
        if (!text->string.starts_with(kPrefix)) {
            reading.mistakes.add(text->place(),
                                 fmt::format("\"ready_when\" must hold a pool such as \"pool:web\", not "
                                             "\"{}\"{}",
                                             text->string, suggestion_for(text->string, reading.config)));
            continue;
        }
        const std::string_view name = std::string_view(text->string).substr(kPrefix.size());
        const auto index = reading.pools.resolve(name, text->place(), "pool", reading.mistakes);
        if (!index) continue;
        if (std::ranges::find(pools, *index) != pools.end()) {
            reading.mistakes.add(text->place(), fmt::format("\"{}\" is in this list already", text->string));
        } else {
            pools.push_back(*index);
        }
    }
}

}  // namespace palier::config
