#include "palier/control/difference.h"

#include "control/route_difference.h"
#include "control/setting_changes.h"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

namespace palier::control {
namespace {

void compare_tls(const config::ListenerConfig& before, const config::ListenerConfig& after,
                 SettingChanges& changes) {
    changes.compare("tls", before.tls.has_value(), after.tls.has_value());
    if (!before.tls || !after.tls) return;
    const config::ListenerTlsConfig& a = *before.tls;
    const config::ListenerTlsConfig& b = *after.tls;
    changes.compare("tls.certificates", a.certificates, b.certificates);
    changes.compare("tls.default", a.default_name, b.default_name);
    changes.compare("tls.ticket_keys", a.ticket_keys, b.ticket_keys);
    changes.compare("tls.client_ca", a.client_ca, b.client_ca);
    changes.note("tls versions, alpn or ciphers", a.min_version != b.min_version || a.http1 != b.http1 ||
                                                      a.http2 != b.http2 || a.ciphers != b.ciphers ||
                                                      a.ciphersuites != b.ciphersuites ||
                                                      a.groups != b.groups || a.client_auth != b.client_auth);
}

void compare_listener(const config::ListenerConfig& before, const config::ListenerConfig& after,
                      Difference& found) {
    SettingChanges changes;
    changes.compare("address", before.addresses, after.addresses);
    changes.compare("proxy_protocol", before.proxy_protocol, after.proxy_protocol);
    changes.compare("http2", before.http2, after.http2);
    changes.compare("hsts", before.hsts, after.hsts);
    compare_tls(before, after, changes);
    changes.add_to(found.changed, "listener " + before.name);
}

void compare_health(const std::optional<config::HealthConfig>& before,
                    const std::optional<config::HealthConfig>& after, SettingChanges& changes) {
    changes.compare("health", before.has_value(), after.has_value());
    if (!before || !after || *before == *after) return;
    changes.compare("health.type", before->type, after->type);
    changes.compare("health.path", before->path, after->path);
    changes.compare("health.interval", before->interval, after->interval);
    changes.compare("health.timeout", before->timeout, after->timeout);
    changes.compare("health.rise", before->rise, after->rise);
    changes.compare("health.fall", before->fall, after->fall);
    config::HealthConfig same = *before;
    same.type = after->type;
    same.path = after->path;
    same.interval = after->interval;
    same.timeout = after->timeout;
    same.rise = after->rise;
    same.fall = after->fall;
    changes.note("health", same != *after);
}

std::string server_name(const std::string& pool, const config::ServerConfig& server) {
    return fmt::format("server {}/{}", pool, server.name);
}

void compare_server(const std::string& pool, const config::ServerConfig& before,
                    const config::ServerConfig& after, Difference& found) {
    SettingChanges changes;
    changes.compare("address", before.address(), after.address());
    changes.compare("weight", before.weight, after.weight);
    changes.compare("role", before.role, after.role);
    changes.compare("node", before.node, after.node);
    changes.compare("local", before.local, after.local);
    changes.compare("max_connections", before.max_connections, after.max_connections);
    changes.compare("slow_start", before.slow_start, after.slow_start);
    changes.compare("slow_start_at_start", before.slow_start_at_start, after.slow_start_at_start);
    changes.note("tls", before.tls != after.tls);
    changes.note("health", before.probe_tls != after.probe_tls ||
                               before.probe_address != after.probe_address ||
                               before.probe_port != after.probe_port);
    changes.add_to(found.changed, server_name(pool, before));
}

void compare_pool(const config::PoolConfig& before, const config::PoolConfig& after,
                  SettingChanges& changes) {
    changes.compare("prefer_local", before.prefer_local, after.prefer_local);
    changes.compare("failback", before.failback, after.failback);
    changes.compare("retries", before.retries, after.retries);
    changes.note("retry_on", before.retry_on != after.retry_on);
    changes.compare("min_usable", before.min_usable, after.min_usable);
    changes.compare("when_none", before.when_none, after.when_none);
    changes.compare("on_down", before.on_down, after.on_down);
    changes.note("outlier", before.outlier != after.outlier);
    changes.note("maintenance", before.maintenance != after.maintenance);
    compare_health(before.health, after.health, changes);
}

/// By name: `added`, `removed` and `both` are called in the order of the configurations.
template <typename T, typename Added, typename Removed, typename Both>
void pair_up(const std::vector<T>& before, const std::vector<T>& after, Added added, Removed removed,
             Both both) {
    std::unordered_map<std::string_view, const T*> old;
    for (const T& one : before)
        old.emplace(one.name, &one);
    for (const T& one : after) {
        const auto known = old.find(one.name);
        if (known == old.end()) {
            added(one);
        } else {
            both(*known->second, one);
            known->second = nullptr;
        }
    }
    for (const T& one : before) {
        if (old.at(one.name) != nullptr) removed(one);
    }
}

void compare_listeners(const config::Config& before, const config::Config& after, Difference& found) {
    using Listener = config::ListenerConfig;
    pair_up(
        before.listeners, after.listeners,
        [&](const Listener& added) { found.added.push_back("listener " + added.name); },
        [&](const Listener& removed) { found.removed.push_back("listener " + removed.name); },
        [&](const Listener& was, const Listener& is) { compare_listener(was, is, found); });
}

void compare_servers(const config::PoolConfig& before, const config::PoolConfig& after, Difference& found) {
    using Server = config::ServerConfig;
    const std::string& pool = after.name;
    pair_up(
        before.servers, after.servers,
        [&](const Server& added) { found.added.push_back(server_name(pool, added)); },
        [&](const Server& removed) { found.removed.push_back(server_name(pool, removed)); },
        [&](const Server& was, const Server& is) { compare_server(pool, was, is, found); });
}

void compare_pools(const config::Config& before, const config::Config& after, Difference& found) {
    using Pool = config::PoolConfig;
    pair_up(
        before.pools, after.pools,
        [&](const Pool& added) {
            found.added.push_back("pool " + added.name);
            for (const config::ServerConfig& server : added.servers)
                found.added.push_back(server_name(added.name, server));
        },
        [&](const Pool& removed) {
            found.removed.push_back("pool " + removed.name);
            for (const config::ServerConfig& server : removed.servers)
                found.removed.push_back(server_name(removed.name, server));
        },
        [&](const Pool& was, const Pool& is) {
            SettingChanges changes;
            compare_pool(was, is, changes);
            changes.add_to(found.changed, "pool " + is.name);
            compare_servers(was, is, found);
        });
}

void compare_timeouts(const config::TimeoutsConfig& a, const config::TimeoutsConfig& b, Difference& found) {
    SettingLines lines(found.changed, "timeouts.");
    lines.compare("client_header", a.client_header, b.client_header);
    lines.compare("client_body", a.client_body, b.client_body);
    lines.compare("client_idle", a.client_idle, b.client_idle);
    lines.compare("client_write", a.client_write, b.client_write);
    lines.compare("handshake", a.handshake, b.handshake);
    lines.compare("connect", a.connect, b.connect);
    lines.compare("server", a.server, b.server);
    lines.compare("server_idle", a.server_idle, b.server_idle);
    lines.compare("tunnel", a.tunnel, b.tunnel);
}

void compare_limits(const config::LimitsConfig& a, const config::LimitsConfig& b, Difference& found) {
    SettingLines lines(found.changed, "limits.");
    lines.compare("header_size", a.header_size, b.header_size);
    lines.compare("headers", a.headers, b.headers);
    lines.compare("body", a.body, b.body);
    lines.compare("connections", a.connections, b.connections);
    lines.compare("streams", a.streams, b.streams);
    lines.compare("memory", a.memory, b.memory);
}

std::vector<std::string> ready_pools(const config::Config& config) {
    std::vector<std::string> names;
    for (const std::size_t index : config.ready_when)
        names.push_back("pool:" + config.pools[index].name);
    return names;
}

void compare_general(const config::Config& a, const config::Config& b, Difference& found) {
    SettingLines lines(found.changed, "");
    lines.compare("node", a.node, b.node);
    lines.compare("admin", a.admin, b.admin);
    lines.compare("ready_when", ready_pools(a), ready_pools(b));
    lines.compare("shutdown_grace", a.shutdown_grace, b.shutdown_grace);
    lines.compare("tunnel_grace", a.tunnel_grace, b.tunnel_grace);
    lines.compare("trusted_proxies", a.trusted_proxies, b.trusted_proxies);
    lines.compare("log.level", a.log.level, b.log.level);
    lines.compare("log.access", a.log.access, b.log.access);
    lines.compare("log.format", a.log.format, b.log.format);
    SettingLines later(found.needs_restart, "");
    later.compare("workers", a.workers, b.workers);
    later.compare("control_socket", a.control_socket, b.control_socket);
    later.compare("control_owner", a.control_owner, b.control_owner);
    later.compare("control_group", a.control_group, b.control_group);
    later.compare("state_file", a.state_file, b.state_file);
}

}  // namespace

Difference difference(const config::Config& before, const config::Config& after) {
    Difference found;
    compare_general(before, after, found);
    compare_timeouts(before.timeouts, after.timeouts, found);
    compare_limits(before.limits, after.limits, found);
    compare_listeners(before, after, found);
    compare_pools(before, after, found);
    compare_routes(before, after, found);
    return found;
}

}  // namespace palier::control
