#include "config/health.h"
#include "config/maintenance.h"
#include "config/outlier.h"
#include "config/sections.h"
#include "config/servers.h"
#include "palier/config/nearest.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::uint32_t kMostRetries = 10;
constexpr std::uint32_t kMostMinUsable = 1000;

constexpr std::array<Choice<Balance>, 1> kBalances{{{"round-robin", Balance::round_robin}}};
constexpr std::array<Choice<Failback>, 2> kFailbacks{
    {{"auto", Failback::automatic}, {"manual", Failback::manual}}};
constexpr std::array<Choice<WhenNone>, 2> kWhenNone{
    {{"refuse", WhenNone::refuse}, {"try_all", WhenNone::try_all}}};
constexpr std::array<Choice<OnDown>, 2> kOnDown{{{"finish", OnDown::finish}, {"close", OnDown::close}}};
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

/// A tier can never have more usable servers than the pool has. A name may stand for any number of them.
void check_min_usable(TableReader& table, const PoolConfig& pool, const Reading& reading) {
    const bool all_known =
        reading.complete && std::ranges::all_of(pool.servers, [](const ServerConfig& server) {
            return base::IpAddress::parse(server.host).has_value();
        });
    if (pool.servers.empty() || !all_known || pool.min_usable <= pool.servers.size()) return;
    if (const Node* value = table.find("min_usable")) {
        table.mistakes().add(
            value->place(),
            fmt::format("\"pool.min_usable\" is {}, but the pool \"{}\" has {}", pool.min_usable, pool.name,
                        pool.servers.size() == 1 ? "one server only"
                                                 : fmt::format("{} servers only", pool.servers.size())));
    }
}

void read_pool(TableReader& table, PoolConfig& pool, Reading& reading) {
    table.read("balance", pool.balance, kBalances);
    table.read("prefer_local", pool.prefer_local);
    table.read("failback", pool.failback, kFailbacks);
    table.read<std::uint32_t>("retries", pool.retries, {0, kMostRetries});
    read_retry_on(table, pool.retry_on);
    table.read<std::uint32_t>("min_usable", pool.min_usable, {1, kMostMinUsable});
    table.read("when_none", pool.when_none, kWhenNone);
    table.read("on_down", pool.on_down, kOnDown);
    read_outlier(table, pool.outlier);
    read_maintenance(table, pool.maintenance);
    PoolProbes probes = read_health(table);
    read_servers(table, pool, probes, reading);
    check_min_usable(table, pool, reading);
    pool.health = std::move(probes.config);
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
        read_pool(table, pool, reading);
        table.finish();
    }
}

}  // namespace palier::config
