#include "palier/proxy/router.h"

#include <algorithm>
#include <array>

namespace palier::proxy {
namespace {

constexpr std::size_t kLongestHost = 255;  // RFC 1035, section 2.3.4

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool serves(const config::RouteConfig& route, std::size_t listener) {
    return route.listeners.empty() || std::ranges::find(route.listeners, listener) != route.listeners.end();
}

}  // namespace

Router::Router(const config::Config& config, std::size_t listener) {
    for (const config::RouteConfig& route : config.routes) {
        if (!serves(route, listener)) continue;
        if (route.hosts.empty()) any_host_.add(route);
        for (const std::string_view host : route.hosts) {
            if (host.starts_with("*.")) {
                const std::string_view suffix = host.substr(1);
                longest_wildcard_ = std::max(longest_wildcard_, suffix.size());
                wildcards_[suffix].add(route);
            } else {
                hosts_[host].add(route);
            }
        }
    }
    any_host_.link_prefixes();
    for (auto& [host, paths] : hosts_)
        paths.link_prefixes();
    for (auto& [suffix, paths] : wildcards_)
        paths.link_prefixes();
}

const config::RouteConfig* Router::find(std::string_view host, std::string_view path) const {
    if (!hosts_.empty() || !wildcards_.empty()) {
        if (host.ends_with('.')) host.remove_suffix(1);
        if (host.size() <= kLongestHost) {
            std::array<char, kLongestHost> folded;
            std::ranges::transform(host, folded.begin(), lower);
            const auto* route = find_in_hosts({folded.data(), host.size()}, path);
            if (route != nullptr) return route;
        }
    }
    return any_host_.find(path);
}

const config::RouteConfig* Router::find_in_hosts(std::string_view host, std::string_view path) const {
    if (const auto found = hosts_.find(host); found != hosts_.end()) {
        if (const auto* route = found->second.find(path)) return route;
    }
    if (wildcards_.empty() || host.empty()) return nullptr;
    // A wildcard stands for at least one byte. Suffixes longer than any key need not be looked up.
    std::size_t start = host.size() > longest_wildcard_ ? host.size() - longest_wildcard_ : 1;
    for (;;) {
        const std::size_t dot = host.find('.', start);
        if (dot == std::string_view::npos) return nullptr;
        if (const auto found = wildcards_.find(host.substr(dot)); found != wildcards_.end()) {
            if (const auto* route = found->second.find(path)) return route;
        }
        start = dot + 1;
    }
}

void Router::Paths::add(const config::RouteConfig& route) {
    if (route.exact) {
        exact_.emplace(route.path, &route);
    } else {
        prefixes_.push_back({&route, kNone});
    }
}

void Router::Paths::link_prefixes() {
    std::ranges::sort(prefixes_, {},
                      [](const Prefix& prefix) -> std::string_view { return prefix.route->path; });
    // Whatever starts with a prefix follows it without a gap, so the way back through the links is a stack.
    for (std::uint32_t i = 1; i < prefixes_.size(); ++i) {
        std::uint32_t shorter = i - 1;
        while (shorter != kNone && !prefixes_[i].route->path.starts_with(prefixes_[shorter].route->path)) {
            shorter = prefixes_[shorter].shorter;
        }
        prefixes_[i].shorter = shorter;
    }
}

const config::RouteConfig* Router::Paths::find(std::string_view path) const {
    if (!exact_.empty()) {
        if (const auto found = exact_.find(path); found != exact_.end()) return found->second;
    }
    return find_prefix(path);
}

/// The last prefix that does not sort after `path`, or one that it starts with, is the longest that matches.
const config::RouteConfig* Router::Paths::find_prefix(std::string_view path) const {
    const auto after = std::ranges::upper_bound(
        prefixes_, path, {}, [](const Prefix& prefix) -> std::string_view { return prefix.route->path; });
    if (after == prefixes_.begin()) return nullptr;
    const Prefix* prefix = &*std::prev(after);
    const std::string_view nearest = prefix->route->path;
    const auto common = static_cast<std::size_t>(std::ranges::mismatch(nearest, path).in1 - nearest.begin());
    while (prefix->route->path.size() > common) {
        if (prefix->shorter == kNone) return nullptr;
        prefix = &prefixes_[prefix->shorter];
    }
    return prefix->route;
}

}  // namespace palier::proxy
