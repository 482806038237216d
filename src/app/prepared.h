// Prepared: a configuration with everything that it needs and that may fail, on its way into force.
// Thread: control only. Owner: the supervisor.
#pragma once

#include "app/listening.h"
#include "palier/admin/admin_listener.h"
#include "palier/config/config.h"
#include "palier/control/certificate_watcher.h"
#include "palier/control/reload.h"
#include "palier/proxy/access_log.h"
#include "palier/proxy/snapshot.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace palier::app {

/// Between two looks at whether it can go on.
inline constexpr std::uint64_t kChangeLookMs = 5;

struct Prepared {
    std::shared_ptr<const config::Config> config;
    control::CertificateWatcher::Plan certificates;
    std::optional<Listening::Plan> listening;  // none: palier is drained, its listening sockets are closed
    // Where the configuration has another destination than before; null: none.
    bool new_admin = false;
    std::unique_ptr<admin::AdminListener> admin;
    bool new_log = false;
    std::unique_ptr<proxy::AccessLogWriter> log_writer;

    // Once it is committed.
    enum class Step : std::uint8_t { names, probes } step = Step::names;  // what is waited for
    std::uint64_t until_ms = 0;                                           // and for how long; monotonic
    std::shared_ptr<const proxy::Snapshot> snapshot;                      // as of the second step
    control::Reload::Subject::Committed in_force;
};

}  // namespace palier::app
