// What a command's words name: pools and servers of a snapshot, found or told with the nearest name.
// Thread: control only.
#pragma once

#include "palier/base/result.h"
#include "palier/pool/pool_snapshot.h"
#include "palier/proxy/snapshot.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace palier::control {

/// Exchanges with a server, tunnels among them.
struct Load {
    std::uint64_t in_flight = 0;
    std::uint64_t tunnels = 0;

    friend bool operator==(const Load&, const Load&) = default;
};
[[nodiscard]] Load load_of(const pool::ServerState& state);
[[nodiscard]] Load load_of(const std::vector<std::shared_ptr<pool::ServerState>>& states);

/// A configured server, which may have several addresses or, while its name is not resolved, none.
struct Target {
    std::shared_ptr<const pool::PoolSnapshot> pool;
    std::string server;
    std::vector<const pool::Server*> addresses;  // in `pool`

    [[nodiscard]] std::string name() const { return pool->config.name + "/" + server; }
    [[nodiscard]] std::vector<std::shared_ptr<pool::ServerState>> states() const;
};

/// POOL/SERVER; the parts may be anything.
struct ServerName {
    std::string pool;
    std::string server;
};
/// Fails with a sentence for what has no "/" or more than one.
[[nodiscard]] base::Result<ServerName> parse_server_name(std::string_view word);

/// The error is a sentence: there is no pool "wbe"; did you mean "web"?
[[nodiscard]] base::Result<std::shared_ptr<const pool::PoolSnapshot>> find_pool(
    const proxy::Snapshot& snapshot, std::string_view name);
[[nodiscard]] base::Result<Target> find_server(const proxy::Snapshot& snapshot, const ServerName& name);
/// Of a word of a request.
[[nodiscard]] base::Result<Target> find_server(const proxy::Snapshot& snapshot, std::string_view word);

/// What operators let a server do, whether it has an address yet or not.
struct Permit {
    pool::Admin admin = pool::Admin::enabled;
    std::uint32_t weight = 0;
};
[[nodiscard]] Permit permit_of(const config::PoolConfig& pool, const config::ServerConfig& server,
                               const pool::Decisions& decisions);
[[nodiscard]] Permit permit_of(const Target& target, const pool::Decisions& decisions);

/// A sentence if the pool has no server that may be used now; else "".
[[nodiscard]] std::string lack_of_servers(const pool::PoolSnapshot& pool, std::uint64_t now_ms);

}  // namespace palier::control
