#include "config/addresses.h"
#include "config/backend_tls.h"
#include "config/nearest.h"
#include "config/sections.h"
#include "config/units.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::uint32_t kMostRetries = 10;
constexpr std::uint32_t kMostWeight = 65'535;
constexpr std::uint32_t kMostServerConnections = 100'000'000;

constexpr std::array<Choice<Balance>, 1> kBalances{{{"round-robin", Balance::round_robin}}};
constexpr std::array<Choice<Failback>, 2> kFailbacks{
    {{"auto", Failback::automatic}, {"manual", Failback::manual}}};
constexpr std::array<Choice<Role>, 2> kRoles{{{"active", Role::active}, {"passive", Role::passive}}};
constexpr std::array<Choice<bool RetryOn::*>, 6> kRetryOn{{{"connect", &RetryOn::connect},
                                                           {"reset", &RetryOn::reset},
                                                           {"timeout", &RetryOn::timeout},
                                                           {"502", &RetryOn::status_502},
                                                           {"503", &RetryOn::status_503},
                                                           {"504", &RetryOn::status_504}}};

void read_retry_on(TableReader& table, RetryOn& retry_on) {
    const auto texts = table.texts("retry_on");
    if (!table.has("retry_on")) return;
    retry_on = {.connect = false, .reset = false};
    std::array<std::string_view, kRetryOn.size()> names;
    std::ranges::transform(kRetryOn, names.begin(), &Choice<bool RetryOn::*>::first);
    for (const Node* text : texts) {
        const auto known = std::ranges::find(kRetryOn, text->string, &Choice<bool RetryOn::*>::first);
        if (known != kRetryOn.end()) {
            retry_on.*known->second = true;
            continue;
        }
        table.mistakes().add(text->place(),
                             fmt::format("\"pool.retry_on\" must hold {}, not \"{}\"{}", alternatives(names),
                                         text->string, suggestion(text->string, names)));
    }
}

void read_outlier(TableReader& pool, OutlierConfig& outlier) {
    auto table = pool.table("outlier");
    if (!table) return;
    table->read<std::uint32_t>("failures", outlier.failures, {0, 1'000'000});
    table->read("backoff", outlier.backoff, {Duration(1), kLongest});
    table->read<std::uint32_t>("max_ejected", outlier.max_ejected, {0, 100});
    table->finish();
}

void read_tls(TableReader& table, ServerConfig& server, BackendTlsKeys keys) {
    read_backend_tls(table, keys);
    if (keys.tls) {
        server.tls = std::move(keys.settings);
    } else {
        report_unused_tls_keys(table);
    }
}

void read_server(TableReader& table, ServerConfig& server, const std::string& node) {
    if (const Node* text = table.required_text("address")) {
        auto address = parse_server_address(text->string);
        if (address) {
            server.host = std::move(address->host);
            server.port = address->port;
        } else {
            table.mistakes().add(text->place(), address.error().message);
        }
    }
    table.read<std::uint32_t>("weight", server.weight, {0, kMostWeight});
    table.read("role", server.role, kRoles);
    if (const Node* text = table.text("node")) server.node = text->string;
    server.local = !node.empty() && server.node == node;
    table.read<std::uint32_t>("max_connections", server.max_connections, {0, kMostServerConnections});
    table.read("slow_start", server.slow_start, {Duration(0), kLongest});
}

void read_servers(TableReader& table, PoolConfig& pool, Reading& reading) {
    BackendTlsKeys tls;
    read_backend_tls(table, tls);
    Names names;
    for (const Node* node : table.tables("server")) {
        TableReader server_table(*node, "pool.server", reading.mistakes);
        ServerConfig& server = pool.servers.emplace_back();
        server.name = names.read(server_table, "server", pool.servers.size() - 1, reading.mistakes);
        read_server(server_table, server, reading.config.node);
        read_tls(server_table, server, tls);
        server_table.finish();
    }
    const bool encrypted =
        std::ranges::any_of(pool.servers, [](const ServerConfig& server) { return server.tls.has_value(); });
    if (!tls.tls && !encrypted) report_unused_tls_keys(table);
    if (!table.meant("server") && reading.complete) {
        reading.mistakes.add(table.place(), fmt::format("the pool \"{}\" has no [[pool.server]]", pool.name));
    }
    const auto weightless = [](const ServerConfig& server) { return server.weight == 0; };
    if (!pool.servers.empty() && std::ranges::all_of(pool.servers, weightless)) {
        reading.mistakes.add(
            table.place(),
            fmt::format("every server of the pool \"{}\" has weight 0, so none would ever be used",
                        pool.name));
    }
}

}  // namespace

void read_pools(TableReader& root, Reading& reading) {
    const auto nodes = root.tables("pool");
    if (root.misspelt("pool") || (nodes.empty() && root.meant("pool"))) reading.pools.set_incomplete();
    reading.config.pools.reserve(nodes.size());
    for (const Node* node : nodes) {
        TableReader table(*node, "pool", reading.mistakes);
        PoolConfig& pool = reading.config.pools.emplace_back();
        pool.name = reading.pools.read(table, "pool", reading.config.pools.size() - 1, reading.mistakes);
        table.read("balance", pool.balance, kBalances);
        table.read("prefer_local", pool.prefer_local);
        table.read("failback", pool.failback, kFailbacks);
        table.read<std::uint32_t>("retries", pool.retries, {0, kMostRetries});
        read_retry_on(table, pool.retry_on);
        read_outlier(table, pool.outlier);
        table.not_yet_available("health");
        read_servers(table, pool, reading);
        table.finish();
    }
}

}  // namespace palier::config
