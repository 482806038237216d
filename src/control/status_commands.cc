#include "control/status_commands.h"

#include "control/stamp.h"
#include "control/targets.h"
#include "palier/base/clock.h"
#include "palier/base/log.h"
#include "palier/pool/standing.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace palier::control {
namespace {

using nlohmann::json;

json list_of(const std::vector<Entry>& entries) {
    json list = json::array();
    for (const Entry& entry : entries) {
        json one = json_of(entry.stamp);
        one["what"] = entry.what;
        list.push_back(std::move(one));
    }
    return list;
}

std::string_view text_of(config::Role role) {
    return role == config::Role::active ? "active" : "passive";
}

/// From 1, as WorkerPool takes them: by role, which failback = "manual" may have turned round, then near before far.
unsigned tier_of(const pool::PoolSnapshot& pool, config::Role role, bool local) {
    const bool second = (role == config::Role::passive) != pool::held_by_passive(pool);
    return 1U + (second ? 2U : 0U) + (pool.config.prefer_local && !local ? 1U : 0U);
}

/// What a server's name alone says, resolved or not.
json entry_of(const pool::PoolSnapshot& pool, const config::ServerConfig& server, const Overlay& overlay) {
    const Permit permit = permit_of(pool.config, server, overlay.decisions());
    return {{"name", server.name},
            {"address", ""},
            {"role", text_of(server.role)},
            {"local", server.local},
            {"tier", tier_of(pool, server.role, server.local)},
            {"health", ""},
            {"health_since_ms", 0},
            {"reason", "its name has no address yet"},
            {"ejected", false},
            {"admin", pool::text_of(permit.admin)},
            {"decisions", list_of(overlay.entries(pool.config.name, server.name))},
            {"weight", permit.weight},
            {"configured_weight", server.weight},
            {"in_flight", 0},
            {"tunnels", 0},
            {"connections", 0},
            {"exchanges", 0},
            {"failures", 0}};
}

void put_address(const pool::Server& server, const Engine& engine, std::uint64_t now_ms, json& entry) {
    const pool::ServerState& state = *server.state;
    const auto totals = state.totals();
    const Load load = load_of(state);
    entry.update({{"address", server.address_text},
                  {"health", pool::text_of(state.health.load())},
                  {"health_since_ms", now_ms - std::min(now_ms, state.health_since_ms.load())},
                  {"reason", engine.health_reason(state)},
                  {"ejected", state.ejected_until_ms.load() != 0},
                  {"admin", pool::text_of(server.admin)},
                  {"weight", server.weight},
                  {"in_flight", load.in_flight},
                  {"tunnels", load.tunnels},
                  {"connections", totals.connections},
                  {"exchanges", totals.ended},
                  {"failures", totals.failures}});
}

json describe(const pool::PoolSnapshot& pool, const CommandEnvironment& environment) {
    const Overlay& overlay = environment.overlay;
    json servers = json::array();
    for (const config::ServerConfig& configured : pool.config.servers) {
        const json entry = entry_of(pool, configured, overlay);
        bool resolved = false;
        for (const pool::Server& server : pool.servers) {
            if (server.name != configured.name) continue;
            put_address(server, environment.engine, environment.loop.now_ms(), servers.emplace_back(entry));
            resolved = true;
        }
        if (!resolved) servers.push_back(entry);
    }
    const auto decision = overlay.decisions().find(pool.config.name);
    json description{{"name", pool.config.name},
                     {"only", decision == overlay.decisions().end() ? std::string() : decision->second.only},
                     {"maintenance", pool.maintenance},
                     {"held_by_passive", pool::held_by_passive(pool)},
                     {"decisions", list_of(overlay.entries(pool.config.name))},
                     {"servers", std::move(servers)}};
    if (json rollout = environment.rollouts.status(pool.config.name); rollout["state"] != "none")
        description["rollout"] = std::move(rollout);
    return description;
}

/// What is kept for pools and servers that are not configured.
json describe_aside(const CommandEnvironment& environment) {
    json list = json::array();
    for (const auto& [pool, server] : environment.overlay.aside(*environment.engine.snapshot().config)) {
        json one{{"pool", pool}, {"server", server}};
        one["decisions"] = list_of(server.empty() ? environment.overlay.entries(pool)
                                                  : environment.overlay.entries(pool, server));
        list.push_back(std::move(one));
    }
    return list;
}

json describe(const tls::ListedCertificate& certificate) {
    constexpr std::int64_t kSecond = 1000;
    constexpr std::int64_t kDay = 86'400;
    const std::int64_t now_ms = static_cast<std::int64_t>(base::monotonic_ms()) + base::wall_offset_ms();
    return {{"names", certificate.names},
            {"file", certificate.file},
            {"key_type", tls::to_text(certificate.key_type)},
            {"not_before", time_text(certificate.not_before * kSecond)},
            {"not_after", time_text(certificate.not_after * kSecond)},
            {"days_left", (certificate.not_after - now_ms / kSecond) / kDay}};
}

json describe(const MemoryUse& memory, const Traffic& traffic) {
    return {{"used", memory.used},
            {"limit", memory.limit},
            {"pressure", memory.pressure},
            {"shortages", memory.shortages},
            {"closed_idle", traffic.spared},
            {"refused", traffic.refused}};
}

}  // namespace

void tell_status(const CommandEnvironment& environment, const std::shared_ptr<Reply>& reply) {
    environment.engine.ask_traffic([environment, reply](const Traffic& traffic) {
        const std::uint64_t now_ms = environment.loop.now_ms();
        const auto obstacles = environment.readiness.obstacles(now_ms);
        const Engine& engine = environment.engine;
        reply->done({{"version", PALIER_VERSION},
                     {"pid", ::getpid()},
                     {"uptime_ms", now_ms - std::min(now_ms, engine.started_ms())},
                     {"generation", engine.snapshot().generation},
                     {"workers", engine.workers()},
                     {"connections", traffic.connections},
                     {"exchanges", traffic.exchanges},
                     {"tunnels", traffic.tunnels},
                     {"memory", describe(engine.memory(), traffic)},
                     {"drained", engine.self_drained()},
                     {"ready", obstacles.empty()},
                     {"obstacles", obstacles},
                     {"config", environment.config_file},
                     {"state_file", environment.overlay.file()}});
    });
}

void tell_pools(const CommandEnvironment& environment, const Request& request,
                const std::shared_ptr<Reply>& reply) {
    const proxy::Snapshot& snapshot = environment.engine.snapshot();
    json pools = json::array();
    if (!request.words.empty()) {
        const auto pool = find_pool(snapshot, request.words[0]);
        if (!pool) return reply->fail(pool.error().message);
        pools.push_back(describe(**pool, environment));
        return reply->done({{"pools", std::move(pools)}});
    }
    for (const auto& pool : snapshot.pools)
        pools.push_back(describe(*pool, environment));
    json result{{"pools", std::move(pools)}};
    if (json aside = describe_aside(environment); !aside.empty()) result["aside"] = std::move(aside);
    reply->done(std::move(result));
}

void tell_certificates(const CommandEnvironment& environment, const Request& request,
                       const std::shared_ptr<Reply>& reply) {
    if (!request.words.empty()) {
        if (request.words[0] != "reload")
            return reply->fail(fmt::format("certificates knows \"reload\", not \"{}\"", request.words[0]));
        base::log_info("control: certificates reload by uid {} pid {}", request.peer.uid, request.peer.pid);
        environment.certificates.look();
    }
    json list = json::array();
    for (const tls::ListedCertificate& certificate : environment.certificates.certificates())
        list.push_back(describe(certificate));
    json problems = json::array();
    for (const tls::CertificateProblem& problem : environment.certificates.problems())
        problems.push_back({{"file", problem.file}, {"reason", problem.reason}});
    reply->done({{"certificates", std::move(list)}, {"problems", std::move(problems)}});
}

}  // namespace palier::control
