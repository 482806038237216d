#include "palier/config/load.h"

#include "config/mistakes.h"
#include "config/ready_when.h"
#include "config/sections.h"
#include "config/sources.h"

namespace palier::config {
namespace {

Loaded interpret(Sources& sources, Mistakes& mistakes) {
    if (sources.empty()) return std::unexpected(mistakes.take({}));
    Reading reading{
        .config = {}, .listeners = {}, .pools = {}, .mistakes = mistakes, .complete = sources.complete()};
    if (!reading.complete) {
        reading.listeners.set_incomplete();
        reading.pools.set_incomplete();
    }
    TableReader root = sources.root();
    read_general(root, reading);
    read_listeners(root, reading);
    read_pools(root, reading);
    read_ready_when(root, reading);
    read_routes(root, reading);
    root.finish();
    if (!mistakes.empty()) return std::unexpected(mistakes.take(sources.order()));
    return std::move(reading.config);
}

}  // namespace

Loaded load_file(const std::string& path) {
    Mistakes mistakes;
    Sources sources(mistakes);
    sources.add_file(path);
    return interpret(sources, mistakes);
}

Loaded load_text(const std::string& text, const std::string& name, const std::string& folder) {
    Mistakes mistakes;
    Sources sources(mistakes);
    sources.add_text(text, name, folder);
    return interpret(sources, mistakes);
}

}  // namespace palier::config
