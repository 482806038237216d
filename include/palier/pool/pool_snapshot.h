// PoolSnapshot: a pool's servers with their addresses, as of one configuration, one answer of the DNS and what
// operators had decided by then.
// Thread: immutable, any thread. Owner: shared by snapshots and the workers' pools.
#pragma once

#include "palier/base/ip.h"
#include "palier/config/config.h"
#include "palier/pool/decisions.h"
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
    std::uint32_t weight =
        0;  // the one in force: operators may have decided another than the configuration's
    std::uint32_t configured_weight = 0;
    Admin admin = Admin::enabled;
    config::Role role = config::Role::active;
    bool local = false;
    std::uint32_t max_connections = 0;
    std::uint64_t slow_start_ms = 0;
    std::shared_ptr<ServerState> state;
    std::shared_ptr<const tls::ClientContext> tls;        // null: plain
    base::SocketAddress probe_address;                    // where active probes go
    std::string probe_host;                               // the Host that they name unless told otherwise
    std::shared_ptr<const tls::ClientContext> probe_tls;  // null: they are plain

    friend bool operator==(const Server&, const Server&) = default;
};

struct PoolSnapshot {
    config::PoolConfig config;
    std::shared_ptr<PoolState> state;
    std::vector<Server> servers;  // those whose names have resolved
    bool maintenance = false;     // every request is answered 503 with the maintenance page
    /// What failback = "manual" holds on to counts within one era. A changed configuration begins the next, and so
    /// does an active server that is put back to work.
    std::uint64_t era = 0;

    friend bool operator==(const PoolSnapshot&, const PoolSnapshot&) = default;
};

/// Keeps the states of pools and servers by name, and how TLS is spoken to them, so that a snapshot finds
/// those of the one before it. Thread: control only.
class StateTable {
  public:
    explicit StateTable(unsigned workers) : workers_(workers) {}

    [[nodiscard]] std::shared_ptr<PoolState> pool(const std::string& name);
    /// `slow_start`: one that is not known yet begins with it.
    /// One at another address is another server: what was seen of the former is not its own.
    [[nodiscard]] std::shared_ptr<ServerState> server(const std::string& full_name, const std::string& name,
                                                      const std::string& address, bool slow_start);

    /// Forgets pools and servers that no snapshot holds any more: addresses come and go.
    void forget_unused();
    [[nodiscard]] std::size_t size() const { return pools_.size() + servers_.size(); }

    /// To be called before a configuration's servers are used: reads the files that their TLS needs. Those of the
    /// configuration in force stay.
    [[nodiscard]] base::Result<void> prepare_tls(const config::Config& config);
    /// What was prepared last is in force: forgets what only the configuration before it needed.
    void adopt_tls();
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
    std::map<std::string, std::shared_ptr<ServerState>> servers_;  // by name and address
    TlsContexts tls_;
    std::optional<TlsContexts> prepared_tls_;
};

/// Addresses by host name; a host that is an IP address needs no entry.
using Addresses = std::map<std::string, std::vector<base::IpAddress>>;

/// The snapshot of one pool. Servers whose name has no address are left out. `decision`: null where operators have
/// decided nothing. `former`: that pool's snapshot until now, which is what comes back if nothing has changed; null:
/// there is none. Servers that operators kept from work in `former` and no longer do begin with their slow start.
[[nodiscard]] std::shared_ptr<const PoolSnapshot> make_pool_snapshot(
    const config::PoolConfig& config, const Addresses& addresses, StateTable& states,
    const PoolDecision* decision = nullptr, const std::shared_ptr<const PoolSnapshot>& former = nullptr);

}  // namespace palier::pool
