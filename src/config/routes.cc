#include "config/addresses.h"
#include "config/route_action.h"
#include "config/route_path.h"
#include "config/sections.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::config {
namespace {

/// Finds routes that no request could tell apart.
class Conflicts {
  public:
    void check(const RouteConfig& route, Place place, Mistakes& mistakes) {
        if (route.hosts.empty()) check("", route, place, mistakes);
        for (const std::string& host : route.hosts) {
            if (!check(host, route, place, mistakes)) return;
        }
    }

  private:
    struct Earlier {
        std::vector<std::size_t> listeners;
        Place place;
    };

    static bool overlap(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b) {
        return a.empty() || b.empty() || std::ranges::find_first_of(a, b) != a.end();
    }

    /// False after reporting.
    bool check(const std::string& host, const RouteConfig& route, Place place, Mistakes& mistakes) {
        std::vector<Earlier>& same = by_match_[host + (route.exact ? '=' : ' ') + route.path];
        for (const Earlier& earlier : same) {
            if (!overlap(earlier.listeners, route.listeners)) continue;
            mistakes.add(place, fmt::format("{}, path \"{}{}\" is routed already, at {}",
                                            host.empty() ? "any host" : fmt::format("host \"{}\"", host),
                                            route.exact ? "=" : "", route.path, to_string(earlier.place)));
            return false;
        }
        same.push_back({route.listeners, place});
        return true;
    }

    std::unordered_map<std::string, std::vector<Earlier>> by_match_;
};

/// False where a mistake leaves open which requests are meant.
bool read_hosts(TableReader& table, RouteConfig& route) {
    bool good = true;
    for (const Node* text : table.texts("host")) {
        auto host = parse_host_pattern(text->string);
        if (!host) {
            table.mistakes().add(text->place(), host.error().message);
            good = false;
        } else if (std::ranges::find(route.hosts, *host) != route.hosts.end()) {
            table.mistakes().add(text->place(), fmt::format("\"{}\" is in this list already", text->string));
        } else {
            route.hosts.push_back(std::move(*host));
        }
    }
    const Node* value = table.find("host");
    if (value == nullptr) return true;
    if (value->kind == Node::Kind::array && value->items.empty()) {
        table.mistakes().add(value->place(),
                             "an empty list of hosts matches nothing; leave \"host\" out for any host");
    }
    return good && !route.hosts.empty();
}

bool read_path(TableReader& table, RouteConfig& route) {
    const Node* text = table.text("path");
    if (text == nullptr) return table.find("path") == nullptr;
    auto path = parse_route_path(text->string);
    if (!path) {
        table.mistakes().add(text->place(), fmt::format("\"{}\" {}", text->string, path.error().message));
        return false;
    }
    route.path = std::move(path->path);
    route.exact = path->exact;
    return true;
}

bool read_route_listeners(TableReader& table, RouteConfig& route, const Reading& reading) {
    for (const Node* text : table.texts("listener")) {
        const auto index = reading.listeners.resolve(*text, "listener", table.mistakes());
        if (!index) continue;
        if (std::ranges::find(route.listeners, *index) != route.listeners.end()) {
            table.mistakes().add(text->place(), fmt::format("\"{}\" is in this list already", text->string));
            continue;
        }
        route.listeners.push_back(*index);
    }
    const Node* value = table.find("listener");
    if (value == nullptr) return true;
    if (value->kind == Node::Kind::array && value->items.empty()) {
        table.mistakes().add(
            value->place(),
            "an empty list of listeners matches nothing; leave \"listener\" out for all of them");
    }
    return !route.listeners.empty();
}

/// A redirect to https that clients would meet again there, for ever.
void report_circle(TableReader& table, const RouteConfig& route, const std::vector<ListenerConfig>& all) {
    const auto* redirect = std::get_if<RedirectAction>(&route.action);
    if (redirect == nullptr || redirect->to != "https") return;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const bool meant =
            route.listeners.empty() || std::ranges::find(route.listeners, i) != route.listeners.end();
        if (!meant || !all[i].tls) continue;
        table.mistakes().add(
            table.key_place("redirect"),
            fmt::format(
                "clients of the listener \"{}\" come by https already and would be sent in a circle; let "
                "\"route.listener\" name the others",
                all[i].name));
        return;
    }
}

}  // namespace

void read_routes(TableReader& root, Reading& reading) {
    Conflicts conflicts;
    const auto nodes = root.tables("route");
    reading.config.routes.reserve(nodes.size());
    for (const Node* node : nodes) {
        TableReader table(*node, "route", reading.mistakes);
        RouteConfig& route = reading.config.routes.emplace_back();
        const bool host = read_hosts(table, route);
        const bool path = read_path(table, route);
        const bool listener = read_route_listeners(table, route, reading);
        read_action(table, route, reading);
        table.finish();
        if (listener) report_circle(table, route, reading.config.listeners);
        if (host && path && listener) conflicts.check(route, node->place(), reading.mistakes);
    }
    if (!root.meant("route") && reading.complete) {
        const auto& pools = reading.config.pools;
        const std::string pool = pools.empty() || pools.front().name.empty() ? "web" : pools.front().name;
        reading.mistakes.add(
            root.place(), fmt::format("there is no route, so no request would reach a pool; add for example\n"
                                      "    [[route]]\n"
                                      "    path = \"/\"\n"
                                      "    pool = \"{}\"",
                                      pool));
    }
}

}  // namespace palier::config
