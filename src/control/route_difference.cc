#include "control/route_difference.h"

#include <string>
#include <unordered_map>
#include <variant>

#include <fmt/format.h>

namespace palier::control {
namespace {

/// What a route is told by: its listeners, hosts and path, which no two routes share.
std::string route_name(const config::Config& config, const config::RouteConfig& route) {
    std::string name = "route ";
    for (std::size_t i = 0; i < route.hosts.size(); ++i)
        name += (i == 0 ? "" : "|") + route.hosts[i];
    if (route.exact) name += "=";
    name += route.path;
    for (std::size_t i = 0; i < route.listeners.size(); ++i)
        name += (i == 0 ? " on " : ", ") + config.listeners[route.listeners[i]].name;
    return name;
}

std::string target_of(const config::Config& config, const config::RouteConfig& route) {
    if (const auto* forward = std::get_if<config::ForwardAction>(&route.action))
        return "pool " + config.pools[forward->pool].name;
    if (const auto* redirect = std::get_if<config::RedirectAction>(&route.action))
        return fmt::format("redirect {} to {}", redirect->code, redirect->to);
    const auto& respond = std::get<config::RespondAction>(route.action);
    return fmt::format("respond {}", respond.code);
}

/// Where the texts are the same, what they do not tell of may still differ.
bool same_bytes(const config::RouteConfig& a, const config::RouteConfig& b) {
    const auto* before = std::get_if<config::RespondAction>(&a.action);
    const auto* after = std::get_if<config::RespondAction>(&b.action);
    return before == nullptr || after == nullptr ||
           (before->body == after->body && before->content_type == after->content_type);
}

}  // namespace

void compare_routes(const config::Config& before, const config::Config& after, Difference& found) {
    std::unordered_map<std::string, const config::RouteConfig*> old;
    for (const config::RouteConfig& route : before.routes)
        old.emplace(route_name(before, route), &route);
    for (const config::RouteConfig& route : after.routes) {
        const std::string name = route_name(after, route);
        const std::string target = target_of(after, route);
        const auto known = old.find(name);
        if (known == old.end()) {
            found.added.push_back(fmt::format("{} to {}", name, target));
            continue;
        }
        const std::string was = target_of(before, *known->second);
        if (was != target) {
            found.changed.push_back(fmt::format("{}: {} -> {}", name, was, target));
        } else if (!same_bytes(*known->second, route)) {
            found.changed.push_back(fmt::format("{}: its file", name));
        }
        old.erase(known);
    }
    for (const config::RouteConfig& route : before.routes) {
        const std::string name = route_name(before, route);
        if (old.contains(name))
            found.removed.push_back(fmt::format("{} to {}", name, target_of(before, route)));
    }
}

}  // namespace palier::control
