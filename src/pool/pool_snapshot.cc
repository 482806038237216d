#include "palier/pool/pool_snapshot.h"

#include "palier/base/assert.h"
#include "palier/base/clock.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace palier::pool {
namespace {

std::vector<base::IpAddress> addresses_of(const config::ServerConfig& server, const Addresses& addresses) {
    if (const auto ip = base::IpAddress::parse(server.host)) return {*ip};
    const auto found = addresses.find(server.host);
    return found == addresses.end() ? std::vector<base::IpAddress>{} : found->second;
}

/// A server's own place for probes goes before its pool's, and that before where its traffic goes.
base::SocketAddress probe_address(const config::PoolConfig& pool, const config::ServerConfig& server,
                                  const base::SocketAddress& address) {
    if (!pool.health) return address;
    base::IpAddress ip = pool.health->address.value_or(address.ip());
    std::uint16_t port = pool.health->port != 0 ? pool.health->port : address.port();
    if (server.probe_address) ip = *server.probe_address;
    if (server.probe_port != 0) port = server.probe_port;
    return {ip, port};
}

Server server_at(const base::IpAddress& ip, const config::ServerConfig& from, const config::PoolConfig& pool,
                 StateTable& states) {
    Server server;
    server.name = from.name;
    server.address = base::SocketAddress(ip, from.port);
    server.address_text = server.address.to_string();
    server.weight = server.configured_weight = from.weight;
    server.role = from.role;
    server.local = from.local;
    server.max_connections = from.max_connections;
    server.slow_start_ms = static_cast<std::uint64_t>(from.slow_start.count());
    std::string full_name = pool.name + "/" + from.name;
    // An address is part of the name where it can change or where there are several.
    if (from.host != ip.to_string()) full_name += "@" + server.address_text;
    server.state = states.server(full_name, from.name, server.address_text, from.slow_start_at_start);
    server.tls = states.tls_to(from.host, from.tls);
    server.probe_address = probe_address(pool, from, server.address);
    server.probe_host = from.address();
    server.probe_tls = states.tls_to(from.host, from.probe_tls);
    return server;
}

/// A decision on a server holds for all addresses of its name.
void apply(const PoolDecision& decision, PoolSnapshot& pool) {
    pool.maintenance = decision.maintenance;
    const bool alone = std::ranges::find(pool.config.servers, decision.only, &config::ServerConfig::name) !=
                       pool.config.servers.end();
    for (Server& server : pool.servers) {
        if (const auto found = decision.servers.find(server.name); found != decision.servers.end()) {
            server.admin = found->second.admin;
            server.weight = found->second.weight.value_or(server.configured_weight);
        }
        if (!alone) continue;
        if (server.name == decision.only) {
            server.weight = std::max(server.weight, 1U);
        } else if (server.admin == Admin::enabled) {
            server.admin = Admin::left_out;
        }
    }
}

/// An active server of `pool` was drained or disabled in `former`, and is not any more.
bool puts_active_back(const PoolSnapshot& pool, const PoolSnapshot& former) {
    std::set<const ServerState*> out;
    for (const Server& server : former.servers) {
        if (server.admin == Admin::drained || server.admin == Admin::disabled) out.insert(server.state.get());
    }
    return std::ranges::any_of(pool.servers, [&](const Server& server) {
        return server.role == config::Role::active && server.admin == Admin::enabled &&
               out.contains(server.state.get());
    });
}

bool at_work(const PoolSnapshot& pool, const Server& server) {
    return server.admin == Admin::enabled && !pool.maintenance;
}

/// A server that operators kept from work until now begins with its slow start, as one that recovers does.
void warm_up_returned(const PoolSnapshot& pool, const PoolSnapshot& former) {
    std::set<const ServerState*> out;
    for (const Server& server : former.servers) {
        if (!at_work(former, server)) out.insert(server.state.get());
    }
    if (out.empty()) return;
    const std::uint64_t now_ms = base::monotonic_ms();
    for (const Server& server : pool.servers) {
        if (server.slow_start_ms != 0 && at_work(pool, server) && out.contains(server.state.get()))
            server.state->slow_start_from_ms.store(now_ms);
    }
}

}  // namespace

std::shared_ptr<PoolState> StateTable::pool(const std::string& name) {
    auto& state = pools_[name];
    if (!state) state = std::make_shared<PoolState>(name);
    return state;
}

std::shared_ptr<ServerState> StateTable::server(const std::string& full_name, const std::string& name,
                                                const std::string& address, bool slow_start) {
    auto& state = servers_[full_name + " " + address];
    if (state) return state;
    state = std::make_shared<ServerState>(full_name, name, workers_);
    const std::uint64_t now_ms = base::monotonic_ms();
    state->health_since_ms.store(now_ms);
    state->standing_since_ms.store(now_ms);
    if (slow_start) state->slow_start_from_ms.store(now_ms);
    return state;
}

void StateTable::forget_unused() {
    const auto unused = [](const auto& entry) { return entry.second.use_count() == 1; };
    std::erase_if(servers_, unused);
    std::erase_if(pools_, unused);
}

StateTable::TlsKey StateTable::key_of(const std::string& host, const config::BackendTlsConfig& settings) {
    return {host, settings.server_name, settings.ca, settings.verify};
}

base::Result<void> StateTable::prepare_tls(const std::string& host,
                                           const std::optional<config::BackendTlsConfig>& settings,
                                           TlsContexts& next) {
    if (!settings) return {};
    const TlsKey key = key_of(host, *settings);
    if (next.contains(key)) return {};
    if (const auto known = tls_.find(key); known != tls_.end() && known->second->up_to_date()) {
        next.insert(*known);
        return {};
    }
    auto made = tls::ClientContext::make(*settings, host);
    if (!made) return std::unexpected(made.error());
    next.emplace(key, std::move(*made));
    return {};
}

base::Result<void> StateTable::prepare_tls(const config::Config& config) {
    TlsContexts next;
    for (const config::PoolConfig& pool : config.pools) {
        for (const config::ServerConfig& server : pool.servers) {
            auto prepared = prepare_tls(server.host, server.tls, next);
            if (prepared) prepared = prepare_tls(server.host, server.probe_tls, next);
            if (!prepared) {
                return base::failure(
                    fmt::format("server {}/{}: {}", pool.name, server.name, prepared.error().message));
            }
        }
    }
    prepared_tls_ = std::move(next);
    return {};
}

void StateTable::adopt_tls() {
    if (prepared_tls_) tls_ = std::move(*prepared_tls_);
    prepared_tls_.reset();
}

std::shared_ptr<const tls::ClientContext> StateTable::tls_to(
    const std::string& host, const std::optional<config::BackendTlsConfig>& settings) const {
    if (!settings) return nullptr;
    const TlsKey key = key_of(host, *settings);
    if (prepared_tls_) {
        if (const auto found = prepared_tls_->find(key); found != prepared_tls_->end()) return found->second;
    }
    const auto found = tls_.find(key);
    PALIER_ASSERT(found != tls_.end());
    return found->second;
}

std::shared_ptr<const PoolSnapshot> make_pool_snapshot(const config::PoolConfig& config,
                                                       const Addresses& addresses, StateTable& states,
                                                       const PoolDecision* decision,
                                                       const std::shared_ptr<const PoolSnapshot>& former) {
    auto snapshot = std::make_shared<PoolSnapshot>();
    snapshot->config = config;
    snapshot->state = states.pool(config.name);
    for (const config::ServerConfig& from : config.servers) {
        for (const base::IpAddress& ip : addresses_of(from, addresses))
            snapshot->servers.push_back(server_at(ip, from, config, states));
    }
    if (decision != nullptr) apply(*decision, *snapshot);
    if (former) {
        snapshot->era = former->era;
        if (*snapshot == *former) return former;
        warm_up_returned(*snapshot, *former);
    }
    if (!former || snapshot->config != former->config || puts_active_back(*snapshot, *former))
        snapshot->era = ++snapshot->state->eras;
    return snapshot;
}

}  // namespace palier::pool
