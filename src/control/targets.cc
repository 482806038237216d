#include "control/targets.h"

#include "palier/config/nearest.h"
#include "palier/pool/standing.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::control {
namespace {

/// Of a host name with several addresses, `pools` and the log tell each as SERVER@ADDRESS.
std::string about_server(std::string_view name, const std::vector<std::string_view>& known) {
    const std::string_view before = name.substr(0, name.find('@'));
    if (before.size() < name.size() && std::ranges::find(known, before) != known.end())
        return fmt::format("; what is decided about \"{}\" holds for all of its addresses", before);
    return config::suggestion(name, known);
}

}  // namespace

Load load_of(const pool::ServerState& state) {
    Load load{.in_flight = state.in_flight(), .tunnels = state.totals().tunnels};
    // The counters move on while they are read.
    load.tunnels = std::min(load.tunnels, load.in_flight);
    return load;
}

Load load_of(const std::vector<std::shared_ptr<pool::ServerState>>& states) {
    Load sum;
    for (const auto& state : states) {
        const Load load = load_of(*state);
        sum.in_flight += load.in_flight;
        sum.tunnels += load.tunnels;
    }
    return sum;
}

std::vector<std::shared_ptr<pool::ServerState>> Target::states() const {
    std::vector<std::shared_ptr<pool::ServerState>> states;
    for (const pool::Server* address : addresses)
        states.push_back(address->state);
    return states;
}

base::Result<ServerName> parse_server_name(std::string_view word) {
    const std::size_t slash = word.find('/');
    if (slash == std::string_view::npos || word.find('/', slash + 1) != std::string_view::npos)
        return base::failure(fmt::format("\"{}\" does not name a server, as web/front1 does", word));
    return ServerName{std::string(word.substr(0, slash)), std::string(word.substr(slash + 1))};
}

base::Result<std::shared_ptr<const pool::PoolSnapshot>> find_pool(const proxy::Snapshot& snapshot,
                                                                  std::string_view name) {
    std::vector<std::string_view> known;
    for (const auto& pool : snapshot.pools) {
        if (pool->config.name == name) return pool;
        known.push_back(pool->config.name);
    }
    return base::failure(fmt::format("there is no pool \"{}\"{}", name, config::suggestion(name, known)));
}

base::Result<Target> find_server(const proxy::Snapshot& snapshot, const ServerName& name) {
    const auto pool = find_pool(snapshot, name.pool);
    if (!pool) return std::unexpected(pool.error());
    std::vector<std::string_view> known;
    for (const config::ServerConfig& server : (*pool)->config.servers)
        known.push_back(server.name);
    if (std::ranges::find(known, name.server) == known.end())
        return base::failure(fmt::format("there is no server \"{}\" in pool {}{}", name.server, name.pool,
                                         about_server(name.server, known)));
    Target target{.pool = *pool, .server = name.server, .addresses = {}};
    for (const pool::Server& server : (*pool)->servers) {
        if (server.name == name.server) target.addresses.push_back(&server);
    }
    return target;
}

base::Result<Target> find_server(const proxy::Snapshot& snapshot, std::string_view word) {
    const auto name = parse_server_name(word);
    return name ? find_server(snapshot, *name) : std::unexpected(name.error());
}

Permit permit_of(const config::PoolConfig& pool, const config::ServerConfig& server,
                 const pool::Decisions& decisions) {
    Permit permit{.admin = pool::Admin::enabled, .weight = server.weight};
    const auto decision = decisions.find(pool.name);
    if (decision == decisions.end()) return permit;
    const auto& [only, maintenance, servers] = decision->second;
    if (const auto found = servers.find(server.name); found != servers.end()) {
        permit.admin = found->second.admin;
        permit.weight = found->second.weight.value_or(server.weight);
    }
    const bool alone =
        std::ranges::find(pool.servers, only, &config::ServerConfig::name) != pool.servers.end();
    if (alone && only != server.name && permit.admin == pool::Admin::enabled)
        permit.admin = pool::Admin::left_out;
    return permit;
}

Permit permit_of(const Target& target, const pool::Decisions& decisions) {
    const auto& servers = target.pool->config.servers;
    const auto configured = std::ranges::find(servers, target.server, &config::ServerConfig::name);
    return permit_of(target.pool->config, *configured, decisions);
}

std::string lack_of_servers(const pool::PoolSnapshot& pool, std::uint64_t now_ms) {
    const bool served = std::ranges::any_of(
        pool.servers, [now_ms](const pool::Server& server) { return pool::usable(server, now_ms); });
    return served ? "" : fmt::format("pool {} has no usable server now", pool.config.name);
}

}  // namespace palier::control
