// Engine: what commands may ask of the process that serves. The supervisor is one; tests have their own.
// Thread: control only.
#pragma once

#include "palier/config/config.h"
#include "palier/proxy/snapshot.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace palier::control {

/// What the workers have at one moment, summed.
struct Traffic {
    std::uint64_t connections = 0;  // of clients
    std::uint64_t exchanges = 0;    // in flight, tunnels among them
    std::uint64_t tunnels = 0;
    // For want of memory, since the start.
    std::uint64_t spared = 0;   // idle connections that were closed
    std::uint64_t refused = 0;  // requests
};

/// How much memory is used, in bytes, of what may be.
struct MemoryUse {
    std::uint64_t used = 0;
    std::uint64_t limit = 0;  // 0: none, and nobody looks how much is used
    std::string_view pressure;
    std::uint64_t shortages = 0;  // since the start
};

class Engine {
  public:
    using InForce = std::function<void()>;
    using Outcome = std::function<void(const std::string& error)>;

    /// The snapshot that was published last.
    [[nodiscard]] virtual const proxy::Snapshot& snapshot() const = 0;
    /// Publishes the present configuration with the overlay's decisions. `in_force` is called once every worker works
    /// under it: no pick of an older snapshot comes after.
    virtual void republish(InForce in_force) = 0;
    /// Closes the idle connections to a server and, with `tunnels`, cuts its tunnels; then calls `done`.
    virtual void close_connections(std::shared_ptr<pool::ServerState> server, bool tunnels, InForce done) = 0;
    /// Asks all workers.
    virtual void ask_traffic(std::function<void(const Traffic&)> answer) = 0;
    /// Why probes say what they say of a server; "" where they say nothing.
    [[nodiscard]] virtual std::string_view health_reason(const pool::ServerState& server) const = 0;
    /// What probes found so far no longer counts: the server is up again only after `rise` successes from now on.
    virtual void doubt_health(const pool::ServerState& server) = 0;

    /// Keep-alive connections are told to go and readiness fails; after `wait` the listeners close. enable_self() undoes
    /// both. `done` when every worker knows, with "", or with the reason why not.
    virtual void drain_self(config::Duration wait, Outcome done) = 0;
    virtual void enable_self(Outcome done) = 0;
    [[nodiscard]] virtual bool self_drained() const = 0;

    /// As SIGTERM.
    virtual void stop() = 0;

    [[nodiscard]] virtual unsigned workers() const = 0;
    [[nodiscard]] virtual MemoryUse memory() const = 0;
    [[nodiscard]] virtual std::uint64_t started_ms() const = 0;  // monotonic

  protected:
    ~Engine() = default;
};

}  // namespace palier::control
