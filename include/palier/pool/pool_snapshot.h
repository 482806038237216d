// PoolSnapshot: a pool's servers with their addresses, as of one configuration and one answer of the DNS.
// Thread: immutable, any thread. Owner: shared by snapshots and the workers' pools.
#pragma once

#include "palier/base/ip.h"
#include "palier/config/config.h"
#include "palier/pool/server_state.h"
#include "palier/tls/client_context.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace palier::pool {

/// One address of a configured server: a host name with several addresses is several servers behind one name.
struct Server {
    std::string name;          // as configured
    std::string address_text;  // ip:port, for logs
    base::SocketAddress address;
    std::uint32_t weight = 0;
    config::Role role = config::Role::active;
    bool local = false;
    std::uint32_t max_connections = 0;
    std::uint64_t slow_start_ms = 0;
    std::shared_ptr<ServerState> state;
    std::shared_ptr<const tls::ClientContext> tls;        // null: plain
    base::SocketAddress probe_address;                    // where active probes go
    std::string probe_host;                               // the Host that they name unless told otherwise
    std::shared_ptr<const tls::ClientContext> probe_tls;  // null: they are plain
};

struct PoolSnapshot {
    config::PoolConfig config;
    std::shared_ptr<PoolState> state;
    std::vector<Server> servers;  // those whose names have resolved
};

/// Keeps the states of pools and servers by name, and how TLS is spoken to them, so that a snapshot finds
/// those of the one before it. Thread: control only.
class StateTable {
  public:
    explicit StateTable(unsigned workers) : workers_(workers) {}

    [[nodiscard]] std::shared_ptr<PoolState> pool(const std::string& name);
    /// `slow_start`: one that is not known yet begins with it.
    [[nodiscard]] std::shared_ptr<ServerState> server(const std::string& full_name, const std::string& name,
                                                      bool slow_start);

    /// Forgets servers that no snapshot and no worker holds any more: addresses come and go.
    void forget_unused();

    /// To be called before a configuration's servers are used: reads the files that their TLS needs.
    [[nodiscard]] base::Result<void> prepare_tls(const config::Config& config);
    /// As prepare_tls() made it; null for a plain server.
    [[nodiscard]] std::shared_ptr<const tls::ClientContext> tls_to(
        const std::string& host, const std::optional<config::BackendTlsConfig>& settings) const;

  private:
    /// Host, server_name, ca, and whether to verify.
    using TlsKey = std::tuple<std::string, std::string, std::string, bool>;
    using TlsContexts = std::map<TlsKey, std::shared_ptr<const tls::ClientContext>>;
    [[nodiscard]] static TlsKey key_of(const std::string& host, const config::BackendTlsConfig& settings);
    [[nodiscard]] base::Result<void> prepare_tls(const std::string& host,
                                                 const std::optional<config::BackendTlsConfig>& settings,
                                                 TlsContexts& next);

    unsigned workers_;
    std::map<std::string, std::shared_ptr<PoolState>> pools_;
    std::map<std::string, std::shared_ptr<ServerState>> servers_;
    TlsContexts tls_;
};

/// Addresses by host name; a host that is an IP address needs no entry.
using Addresses = std::map<std::string, std::vector<base::IpAddress>>;

/// The snapshot of one pool. Servers whose name has no address are left out.
[[nodiscard]] std::shared_ptr<const PoolSnapshot> make_pool_snapshot(const config::PoolConfig& config,
                                                                     const Addresses& addresses,
                                                                     StateTable& states);

}  // namespace palier::pool
