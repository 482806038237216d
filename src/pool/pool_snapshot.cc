#include "palier/pool/pool_snapshot.h"

#include "palier/base/assert.h"

#include <utility>

#include <fmt/format.h>

namespace palier::pool {
namespace {

std::vector<base::IpAddress> addresses_of(const config::ServerConfig& server, const Addresses& addresses) {
    if (const auto ip = base::IpAddress::parse(server.host)) return {*ip};
    const auto found = addresses.find(server.host);
    return found == addresses.end() ? std::vector<base::IpAddress>{} : found->second;
}

}  // namespace

std::shared_ptr<PoolState> StateTable::pool(const std::string& name) {
    auto& state = pools_[name];
    if (!state) state = std::make_shared<PoolState>(name);
    return state;
}

std::shared_ptr<ServerState> StateTable::server(const std::string& full_name, const std::string& name) {
    auto& state = servers_[full_name];
    if (!state) state = std::make_shared<ServerState>(full_name, name, workers_);
    return state;
}

StateTable::TlsKey StateTable::key_of(const config::ServerConfig& server) {
    return {server.host, server.tls->server_name, server.tls->ca, server.tls->verify};
}

base::Result<void> StateTable::prepare_tls(const config::Config& config) {
    std::map<TlsKey, std::shared_ptr<const tls::ClientContext>> next;
    for (const config::PoolConfig& pool : config.pools) {
        for (const config::ServerConfig& server : pool.servers) {
            if (!server.tls) continue;
            const TlsKey key = key_of(server);
            if (const auto known = tls_.find(key); known != tls_.end()) {
                next.insert(*known);
                continue;
            }
            auto made = tls::ClientContext::make(*server.tls, server.host);
            if (!made) {
                return base::failure(
                    fmt::format("server {}/{}: {}", pool.name, server.name, made.error().message));
            }
            next.emplace(key, std::move(*made));
        }
    }
    tls_ = std::move(next);
    return {};
}

std::shared_ptr<const tls::ClientContext> StateTable::tls_to(const config::ServerConfig& server) const {
    if (!server.tls) return nullptr;
    const auto found = tls_.find(key_of(server));
    PALIER_ASSERT(found != tls_.end());
    return found->second;
}

std::shared_ptr<const PoolSnapshot> make_pool_snapshot(const config::PoolConfig& config,
                                                       const Addresses& addresses, StateTable& states) {
    auto snapshot = std::make_shared<PoolSnapshot>();
    snapshot->config = config;
    snapshot->state = states.pool(config.name);
    for (const config::ServerConfig& from : config.servers) {
        const auto ips = addresses_of(from, addresses);
        for (const base::IpAddress& ip : ips) {
            Server server;
            server.name = from.name;
            server.address = base::SocketAddress(ip, from.port);
            server.address_text = server.address.to_string();
            server.weight = from.weight;
            server.role = from.role;
            server.local = from.local;
            server.max_connections = from.max_connections;
            server.slow_start_ms = static_cast<std::uint64_t>(from.slow_start.count());
            std::string full_name = config.name + "/" + from.name;
            // An address is part of the name where it can change or where there are several.
            if (from.host != ip.to_string()) full_name += "@" + server.address_text;
            server.state = states.server(full_name, from.name);
            server.tls = states.tls_to(from);
            snapshot->servers.push_back(std::move(server));
        }
    }
    return snapshot;
}

}  // namespace palier::pool
