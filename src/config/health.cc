#include "config/health.h"

#include "config/misplaced.h"
#include "config/probe_request.h"
#include "config/sections.h"
#include "palier/config/units.h"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::uint32_t kMostInRow = 100;
constexpr std::size_t kLongestUser = 80;  // of MariaDB; MySQL has 32
constexpr Range<Duration> kIntervals{Duration(10), kLongest};

constexpr std::array<Choice<std::optional<ProbeType>>, 5> kTypes{{{"http", ProbeType::http},
                                                                  {"tcp", ProbeType::tcp},
                                                                  {"tls", ProbeType::tls},
                                                                  {"mysql", ProbeType::mysql},
                                                                  {"off", std::nullopt}}};
constexpr std::array<Choice<ReadOnly>, 3> kReadOnly{
    {{"any", ReadOnly::any}, {"off", ReadOnly::off}, {"on", ReadOnly::on}}};
constexpr std::array<Choice<bool>, 2> kStarts{{{"up", true}, {"down", false}}};
/// What may follow [pool.server.health] by mistake.
constexpr std::array<std::string_view, 11> kServerKeys{
    "name", "weight", "role", "node",       "max_connections", "slow_start", "slow_start_at_start",
    "tls",  "verify", "ca",   "server_name"};
constexpr std::array<std::string_view, 2> kMysqlKeys{"user", "read_only"};

/// The type, or nothing for "off". `clear` becomes false when it cannot be told.
std::optional<ProbeType> read_type(TableReader& table, bool& clear) {
    std::optional<ProbeType> type = ProbeType::http;
    table.read("type", type, kTypes);
    const Node* text = table.find("type");
    clear = text == nullptr ? !table.misspelt("type")
                            : std::ranges::find(kTypes, text->string,
                                                &Choice<std::optional<ProbeType>>::first) != kTypes.end();
    return type;
}

void report_meaningless(TableReader& table, std::span<const std::string_view> keys) {
    const Node* type = table.find("type");
    for (const std::string_view key : keys) {
        if (table.find(key) == nullptr) continue;
        table.mistakes().add(table.key_place(key),
                             fmt::format("\"{}\" means nothing for type = \"{}\"", table.path_of(key),
                                         type == nullptr ? "http" : type->string));
    }
}

void read_mysql(TableReader& table, HealthConfig& health) {
    if (const Node* user = table.text("user")) {
        const bool plain = std::ranges::all_of(
            user->string, [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; });
        if (plain && user->string.size() <= kLongestUser) {
            health.user = user->string;
        } else {
            table.mistakes().add(user->place(),
                                 fmt::format("\"{}\" must be at most {} bytes, without control characters",
                                             table.path_of("user"), kLongestUser));
        }
    }
    table.read("read_only", health.read_only, kReadOnly);
    const Node* user = table.find("user");
    const bool nobody = user == nullptr
                            ? !table.misspelt("user")
                            : user->kind == Node::Kind::string && user->string.empty() && !user->broken;
    if (health.read_only != ReadOnly::any && nobody) {
        table.mistakes().add(table.key_place("read_only"),
                             fmt::format("\"{}\" needs \"{}\": only a user may ask",
                                         table.path_of("read_only"), table.path_of("user")));
    }
}

/// Nothing when the key is absent or wrong.
std::optional<Duration> read_duration(TableReader& table, std::string_view key, Range<Duration> range) {
    Duration value{-1};
    table.read(key, value, range);
    return value < Duration(0) ? std::nullopt : std::optional(value);
}

void read_rhythm(TableReader& table, HealthConfig& health) {
    const auto interval = read_duration(table, "interval", kIntervals);
    const auto fast = read_duration(table, "fast_interval", kIntervals);
    const auto down = read_duration(table, "down_interval", kIntervals);
    const auto timeout = read_duration(table, "timeout", {Duration(1), kLongest});
    health.interval = interval.value_or(health.interval);
    health.fast_interval = fast.value_or(std::max(health.interval / 2, kIntervals.min));
    health.down_interval = down.value_or(health.interval);
    health.timeout = timeout.value_or(std::min(health.timeout, health.interval));
    const bool clear = interval || (!table.has("interval") && !table.misspelt("interval"));
    for (const auto& [key, value] : {std::pair("fast_interval", fast), std::pair("timeout", timeout)}) {
        if (!clear || !value || *value <= health.interval) continue;
        table.mistakes().add(table.find(key)->place(),
                             fmt::format("\"{}\" must not be longer than the interval, which is \"{}\"",
                                         table.path_of(key), to_text(health.interval)));
    }
}

void read_target(TableReader& table, std::optional<base::IpAddress>& address, std::uint16_t& port) {
    if (const Node* text = table.text("address")) {
        const auto ip = base::IpAddress::parse(text->string);
        if (ip) {
            address = *ip;
        } else {
            table.mistakes().add(text->place(),
                                 fmt::format("\"{}\" must be an IP address, without a port, not \"{}\"",
                                             table.path_of("address"), text->string));
        }
    }
    table.read<std::uint16_t>("port", port, {1, 65'535});
}

}  // namespace

PoolProbes read_health(TableReader& pool) {
    PoolProbes probes{.config = {}, .mentioned = pool.meant("health"), .clear = !pool.misspelt("health")};
    auto table = pool.table("health");
    if (!table) {
        probes.clear = probes.clear && !pool.has("health");
        return probes;
    }
    HealthConfig health;
    const auto type = read_type(*table, probes.clear);
    const bool all = !type || !probes.clear;
    if (all || type == ProbeType::http) {
        read_probe_request(*table, health);
    } else {
        report_meaningless(*table, kProbeRequestKeys);
    }
    if (all || type == ProbeType::mysql) {
        read_mysql(*table, health);
    } else {
        report_meaningless(*table, kMysqlKeys);
    }
    read_rhythm(*table, health);
    table->read<std::uint32_t>("rise", health.rise, {1, kMostInRow});
    table->read<std::uint32_t>("fall", health.fall, {1, kMostInRow});
    read_target(*table, health.address, health.port);
    table->read("start", health.start_up, kStarts);
    table->read("probe_clears", health.probe_clears);
    report_misplaced(*table, kPoolKeys, "[[pool]]");
    table->finish();
    if (type) {
        health.type = *type;
        probes.config = std::move(health);
    }
    return probes;
}

void read_server_health(TableReader& server_table, ServerConfig& server, const PoolProbes& probes,
                        const BackendTlsConfig& keys) {
    if (probes.config && probes.config->type == ProbeType::http) server.probe_tls = server.tls;
    if (probes.config && probes.config->type == ProbeType::tls) {
        server.probe_tls = server.tls ? server.tls : keys;
    }
    auto table = server_table.table("health");
    if (!table) return;
    read_target(*table, server.probe_address, server.probe_port);
    report_misplaced(*table, kServerKeys, "[[pool.server]]");
    table->finish();
    if (!probes.mentioned) {
        server_table.mistakes().add(server_table.key_place("health"),
                                    fmt::format("\"{}\" means nothing: the pool has no [pool.health]",
                                                server_table.path_of("health")));
    }
}

}  // namespace palier::config
