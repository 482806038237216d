// Supervisor: the control thread. It opens the listening sockets, starts the workers, watches names and
// signals, publishes snapshots, and stops everything in order. It never touches client traffic. Thread: the
// main one. Owner: the command that serves. Ends: run() returns.
#pragma once

#include "app/notify.h"
#include "app/worker.h"
#include "palier/admin/admin_listener.h"
#include "palier/config/config.h"
#include "palier/control/certificate_watcher.h"
#include "palier/control/name_watcher.h"
#include "palier/control/readiness.h"
#include "palier/control/snapshot_builder.h"
#include "palier/health/monitor.h"
#include "palier/net/loop.h"
#include "palier/net/mailbox.h"
#include "palier/net/signals.h"
#include "palier/proxy/access_log.h"

#include <functional>
#include <memory>
#include <vector>

namespace palier::app {

class Supervisor {
  public:
    explicit Supervisor(config::Config config);
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Opens the log and the listening sockets and starts the workers. Fails with a sentence for people, and
    /// then nothing is left open.
    [[nodiscard]] base::Result<void> start();

    /// Serves until a signal ends it: TERM or INT gracefully, a second one at once.
    void run();

    /// The first listener's port, for a configuration that left it to the system.
    [[nodiscard]] std::uint16_t port() const { return port_; }

  private:
    [[nodiscard]] base::Result<void> open_admin();
    [[nodiscard]] base::Result<std::vector<std::vector<WorkerListener>>> open_listeners(unsigned workers);
    void settle_names();
    void settle_health();
    [[nodiscard]] std::shared_ptr<const proxy::Snapshot> next_snapshot();
    void publish();
    void look_for_unreachable();
    void begin_stop();

    std::shared_ptr<const config::Config> config_;
    unsigned worker_count_;
    net::Loop loop_;
    net::Mailbox mailbox_;
    net::Signals signals_;
    control::SnapshotBuilder builder_;
    control::Readiness readiness_;
    Notifier notifier_;
    control::NameWatcher names_;
    control::CertificateWatcher certificates_;
    health::Monitor monitor_;
    base::Timer look_timer_;
    std::unique_ptr<proxy::AccessLogWriter> log_writer_;
    std::unique_ptr<admin::AdminListener> admin_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::size_t running_ = 0;
    bool stopping_ = false;
    bool stop_early_ = false;  // asked for before the workers ran
    std::uint16_t port_ = 0;
};

}  // namespace palier::app
