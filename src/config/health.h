// [pool.health] and [pool.server.health]: active probes.
// Thread: control only. Owner: one load.
#pragma once

#include "config/backend_tls.h"
#include "config/table_reader.h"

#include <optional>

namespace palier::config {

/// What a pool says about its probes.
struct PoolProbes {
    std::optional<HealthConfig> config;  // none: no probes
    bool mentioned = false;              // there is a [pool.health], if only with type = "off"
    bool clear = true;                   // false: a mistake leaves open what the probes are
};

[[nodiscard]] PoolProbes read_health(TableReader& pool);

/// What `server` has in place of its pool's. Comes after the server's own TLS: that is what probes speak, and
/// those with type = "tls" also where it is off; `keys` then say how.
void read_server_health(TableReader& table, ServerConfig& server, const PoolProbes& probes,
                        const BackendTlsConfig& keys);

}  // namespace palier::config
