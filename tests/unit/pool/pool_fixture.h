// What the tests of pool stand on: a pool's configuration in few words, its shared state, and the workers
// that share it, each with its own loop.
#pragma once

#include "palier/base/log.h"
#include "palier/pool/worker_pool.h"

#include <concepts>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace palier::test {

constexpr std::uint64_t kHourMs = 3'600'000;

/// Keys of one server; the rest as in a file that does not name them.
struct ServerSpec {
    std::string name;
    std::uint32_t weight = 100;
    config::Role role = config::Role::active;
    bool local = false;
    std::uint32_t max_connections = 0;
    std::uint64_t slow_start_ms = 0;
    std::uint16_t port = 1;
};

[[nodiscard]] inline config::PoolConfig pool_of(const std::vector<ServerSpec>& servers) {
    config::PoolConfig pool;
    pool.name = "web";
    for (const ServerSpec& spec : servers) {
        config::ServerConfig server;
        server.name = spec.name;
        server.host = "127.0.0.1";
        server.port = spec.port;
        server.weight = spec.weight;
        server.role = spec.role;
        server.local = spec.local;
        server.max_connections = spec.max_connections;
        server.slow_start = config::Duration(spec.slow_start_ms);
        pool.servers.push_back(server);
    }
    return pool;
}

/// What the control thread holds of one pool.
class SharedPool {
  public:
    static constexpr unsigned kWorkers = 4;

    /// A template, so that a list in braces is always a list of servers.
    template <std::same_as<config::PoolConfig> Config>
    explicit SharedPool(const Config& pool) {
        configure(pool);
    }
    explicit SharedPool(const std::vector<ServerSpec>& servers) : SharedPool(pool_of(servers)) {}

    void configure(const config::PoolConfig& pool, const pool::PoolDecision& decision = {}) {
        snapshot = pool::make_pool_snapshot(pool, {}, states_, &decision, snapshot);
    }
    /// What operators decide of the pool as it is configured.
    void decide(const pool::PoolDecision& decision) {
        configure(config::PoolConfig(snapshot->config), decision);
    }

    [[nodiscard]] const pool::Server& server(const std::string& name) const {
        for (const pool::Server& server : snapshot->servers) {
            if (server.name == name) return server;
        }
        throw std::out_of_range(name);
    }
    [[nodiscard]] pool::ServerState& state(const std::string& name) const { return *server(name).state; }

    /// As an ejection leaves it: out until `until_ms`.
    void eject(const std::string& name, std::uint64_t until_ms) const {
        state(name).ejected_until_ms.store(until_ms);
        snapshot->state->changed();
    }
    void bring_back(const std::string& name) const { eject(name, 0); }

    std::shared_ptr<const pool::PoolSnapshot> snapshot;

  private:
    pool::StateTable states_{kWorkers};
};

/// One worker's view of the shared pool.
class TestWorker {
  public:
    explicit TestWorker(SharedPool& shared, unsigned index = 0, std::uint64_t seed = 0)
        : environment_{loop, buffers_, tls_, index, kHourMs, seed}, pool(environment_, shared.snapshot) {
        base::log_start(base::LogLevel::error);
    }

    /// The name of the server that the next exchange gets, which ends at once; "full" or "none" for none.
    [[nodiscard]] std::string next(const std::vector<const pool::ServerState*>& tried = {}) {
        pool::Lease lease;
        return take(lease, tried);
    }
    /// The same, with a lease that lasts.
    [[nodiscard]] std::string take(pool::Lease& lease,
                                   const std::vector<const pool::ServerState*>& tried = {}) {
        switch (pool.pick(tried, lease)) {
            case pool::Pick::leased:
                return lease.server().name;
            case pool::Pick::full:
                return "full";
            case pool::Pick::none:
                break;
        }
        return "none";
    }
    [[nodiscard]] std::string sequence(int picks) {
        std::string names;
        for (int i = 0; i < picks; ++i)
            names += next();
        return names;
    }
    [[nodiscard]] std::map<std::string, int> shares(int picks) {
        std::map<std::string, int> counts;
        for (int i = 0; i < picks; ++i)
            ++counts[next()];
        return counts;
    }

    net::Loop loop;

  private:
    base::BufferCache buffers_;
    tls::Workspace tls_{buffers_};
    pool::PoolEnvironment environment_;

  public:
    pool::WorkerPool pool;
};

}  // namespace palier::test
