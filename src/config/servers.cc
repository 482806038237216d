#include "config/servers.h"

#include "config/addresses.h"
#include "palier/config/units.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::uint32_t kMostWeight = 65'535;
constexpr std::uint32_t kMostConnections = 100'000'000;

constexpr std::array<Choice<Role>, 2> kRoles{{{"active", Role::active}, {"passive", Role::passive}}};

void read_address(TableReader& table, ServerConfig& server) {
    const Node* text = table.required_text("address");
    if (text == nullptr) return;
    if (auto address = parse_server_address(text->string)) {
        server.host = std::move(address->host);
        server.port = address->port;
    } else {
        table.mistakes().add(text->place(), address.error().message);
    }
}

void read_slow_start(TableReader& table, ServerConfig& server) {
    table.read("slow_start", server.slow_start, {Duration(0), kLongest});
    table.read("slow_start_at_start", server.slow_start_at_start);
    const Node* text = table.find("slow_start");
    const bool none = text == nullptr ? !table.misspelt("slow_start")
                                      : server.slow_start == Duration(0) && parse_duration(text->string);
    if (server.slow_start_at_start && none) {
        table.mistakes().add(table.key_place("slow_start_at_start"),
                             fmt::format("\"{}\" needs a \"slow_start\" longer than \"0s\"",
                                         table.path_of("slow_start_at_start")));
    }
}

void read_server(TableReader& table, ServerConfig& server, const std::string& node) {
    read_address(table, server);
    table.read<std::uint32_t>("weight", server.weight, {0, kMostWeight});
    table.read("role", server.role, kRoles);
    if (const Node* text = table.text("node")) server.node = text->string;
    server.local = !node.empty() && server.node == node;
    table.read<std::uint32_t>("max_connections", server.max_connections, {0, kMostConnections});
    read_slow_start(table, server);
}

/// Whether probes may speak TLS where requests do not.
bool probes_need_tls(const PoolProbes& probes) {
    return !probes.clear || (probes.config && probes.config->type == ProbeType::tls);
}

void read_tls(TableReader& table, ServerConfig& server, BackendTlsKeys keys, const PoolProbes& probes) {
    read_backend_tls(table, keys);
    if (keys.tls) {
        server.tls = keys.settings;
    } else if (!probes_need_tls(probes)) {
        report_unused_tls_keys(table);
    }
    read_server_health(table, server, probes, keys.settings);
}

/// Weight 0 for all would leave nobody to be used.
void check_weights(const TableReader& table, const PoolConfig& pool, Mistakes& mistakes) {
    const auto weightless = [](const ServerConfig& server) { return server.weight == 0; };
    if (pool.servers.empty() || !std::ranges::all_of(pool.servers, weightless)) return;
    mistakes.add(
        table.place(),
        fmt::format("every server of the pool \"{}\" has weight 0, so none would ever be used", pool.name));
}

}  // namespace

void read_servers(TableReader& table, PoolConfig& pool, const PoolProbes& probes, Reading& reading) {
    BackendTlsKeys tls;
    read_backend_tls(table, tls);
    Names names;
    for (const Node* node : table.tables("server")) {
        TableReader server_table(*node, "pool.server", reading.mistakes);
        ServerConfig& server = pool.servers.emplace_back();
        server.name = names.read(server_table, "server", pool.servers.size() - 1, reading.mistakes);
        read_server(server_table, server, reading.config.node);
        read_tls(server_table, server, tls, probes);
        server_table.finish();
    }
    const bool encrypted =
        std::ranges::any_of(pool.servers, [](const ServerConfig& server) { return server.tls.has_value(); });
    if (!tls.tls && !encrypted && !probes_need_tls(probes)) report_unused_tls_keys(table);
    if (!table.meant("server") && reading.complete) {
        reading.mistakes.add(table.place(), fmt::format("the pool \"{}\" has no [[pool.server]]", pool.name));
    }
    check_weights(table, pool, reading.mistakes);
}

}  // namespace palier::config
