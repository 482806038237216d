// Supervisor: the control thread. It opens the listening sockets, starts the workers, watches names and signals,
// publishes snapshots, does what commands ask for, and stops everything in order. It never touches client traffic.
//
// supervisor.cc has its life from start to stop, supervisor_engine.cc what commands ask of it, supervisor_reload.cc how
// it goes over to another configuration, supervisor_upgrade.cc how it takes another palier's place or gives up its own.
//
// Thread: the main one. Owner: the command that serves. Ends: run() returns.
#pragma once

#include "app/listening.h"
#include "app/memory_guard.h"
#include "app/notify.h"
#include "app/upgrade.h"
#include "app/worker_team.h"
#include "palier/admin/admin_listener.h"
#include "palier/config/config.h"
#include "palier/control/certificate_watcher.h"
#include "palier/control/command.h"
#include "palier/control/commands.h"
#include "palier/control/control_socket.h"
#include "palier/control/engine.h"
#include "palier/control/events.h"
#include "palier/control/last_clients.h"
#include "palier/control/name_watcher.h"
#include "palier/control/overlay.h"
#include "palier/control/readiness.h"
#include "palier/control/reload.h"
#include "palier/control/rollout.h"
#include "palier/control/snapshot_builder.h"
#include "palier/control/take_over.h"
#include "palier/health/monitor.h"
#include "palier/net/loop.h"
#include "palier/net/mailbox.h"
#include "palier/net/signals.h"
#include "palier/proxy/access_log.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace palier::app {

struct Prepared;

/// Where the configuration came from, to load it again.
struct Source {
    std::string file;                 // absolute; "": it was built in
    std::optional<unsigned> workers;  // from the command line, in place of the file's
};

class Supervisor final : private control::Engine, private control::Reload::Subject {
  public:
    /// `from`: a palier in whose place this one steps.
    explicit Supervisor(config::Config config, Source source = {},
                        std::optional<control::TakeOver> from = {});
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Opens the log and the sockets and starts the workers. Fails with a sentence for people, and then nothing is left
    /// open.
    [[nodiscard]] base::Result<void> start();

    /// Serves until a signal or a command ends it, or another palier has taken its place.
    void run();
    /// What this process still has to do for the palier that took its place; null: nothing.
    [[nodiscard]] std::unique_ptr<Forwarder> take_forwarder() { return upgrade_.take_forwarder(); }

    /// The first listener's port, for a configuration that left it to the system.
    [[nodiscard]] std::uint16_t port() const { return port_; }

  private:
    /// The listening sockets, while palier is drained.
    enum class Gates : std::uint8_t { open, closing, closed };

    // Life.
    void take_signals();
    [[nodiscard]] base::Result<void> open_files();
    [[nodiscard]] base::Result<void> open_sockets();
    [[nodiscard]] base::Result<std::unique_ptr<admin::AdminListener>> open_admin(
        const config::Config& config);
    void add_commands();
    void settle(const std::function<bool()>& settled);
    [[nodiscard]] base::Result<void> start_beside();
    [[nodiscard]] base::Result<void> serve();
    [[nodiscard]] std::shared_ptr<const proxy::Snapshot> next_snapshot();
    [[nodiscard]] std::size_t most_clients() const;
    void set_log_level() const;
    void on_look_timer();
    void look_for_unreachable();
    void end_logs();
    void begin_stop(config::Duration grace);

    // Engine.
    [[nodiscard]] const proxy::Snapshot& snapshot() const override { return *builder_.current(); }
    void republish(InForce in_force) override;
    void close_connections(std::shared_ptr<pool::ServerState> server, bool tunnels, InForce done) override;
    void ask_traffic(std::function<void(const control::Traffic&)> answer) override;
    [[nodiscard]] std::string_view health_reason(const pool::ServerState& server) const override;
    void doubt_health(const pool::ServerState& server) override;
    void drain_self(config::Duration wait, Outcome done) override;
    void enable_self(Outcome done) override;
    [[nodiscard]] bool self_drained() const override { return self_drained_; }
    void stop() override;
    [[nodiscard]] unsigned workers() const override { return worker_count_; }
    [[nodiscard]] control::MemoryUse memory() const override;
    [[nodiscard]] std::uint64_t started_ms() const override { return started_ms_; }

    [[nodiscard]] std::string_view obstacle_to_change() const;
    void close_gates();
    void go_on_enabling();
    void refuse_enabling(const std::string& why);
    [[nodiscard]] base::Result<void> open_gates();

    // Reload.
    [[nodiscard]] base::Result<control::Reload::Loader> loader() const override;
    [[nodiscard]] base::Result<control::Difference> prepare(control::Candidate candidate,
                                                            bool dry_run) override;
    std::uint64_t drop() override;
    void count_closed(std::function<void(std::uint64_t)> answer) override;
    void commit(Committed in_force) override;

    [[nodiscard]] base::Result<void> prepare_outward(Prepared& prepared);
    [[nodiscard]] base::Result<void> try_outward(const Prepared& prepared) const;
    [[nodiscard]] bool changing() const { return prepared_ || coming_; }
    void on_change_timer();
    void put_in_force();
    void give_up_change();
    void switch_log(std::unique_ptr<proxy::AccessLogWriter> writer);

    // Upgrade.
    [[nodiscard]] Upgrade::Invocation invocation() const;
    [[nodiscard]] Upgrade::Hooks upgrade_hooks();
    [[nodiscard]] base::Result<void> inherit();
    void inherit_sockets();
    [[nodiscard]] bool inherits_admin(const config::Config& config);
    [[nodiscard]] base::Result<void> step_in();
    void stepped_in();
    [[nodiscard]] std::string obstacle_to_upgrade() const;
    [[nodiscard]] control::Estate estate();
    void hand_over();
    void leave_control_path(int channel);

    std::shared_ptr<const config::Config> config_;  // in force
    const Source source_;
    const unsigned worker_count_;
    std::size_t descriptors_ = 0;  // that this process may have
    const std::uint64_t started_ms_;
    net::Loop loop_;
    net::Mailbox mailbox_;
    net::Signals signals_;
    control::SnapshotBuilder builder_;
    control::Readiness readiness_;
    Notifier notifier_;
    control::NameWatcher names_;
    control::CertificateWatcher certificates_;
    health::Monitor monitor_;
    control::Overlay overlay_;
    base::Timer look_timer_;
    base::Timer drain_timer_;
    base::Timer change_timer_;
    std::unique_ptr<proxy::AccessLogWriter> log_writer_;
    std::vector<std::unique_ptr<proxy::AccessLogWriter>> former_logs_;  // that still write what they have
    std::unique_ptr<admin::AdminListener> admin_;
    std::unique_ptr<admin::AdminListener> former_admin_;  // to be destroyed between two turns
    Listening listening_;
    std::optional<Listening::Plan> plan_;  // to be put in force once another palier has let go
    WorkerTeam team_;
    MemoryGuard memory_guard_;
    std::uint16_t port_ = 0;

    bool stopping_ = false;
    std::optional<config::Duration> early_stop_;  // asked for before the workers ran, with this grace

    bool self_drained_ = false;
    Gates gates_ = Gates::open;
    std::vector<Outcome> enabling_;  // what waits for the gates

    std::unique_ptr<Prepared> prepared_;  // not committed yet
    std::unique_ptr<Prepared> coming_;    // committed, not yet in force
    std::vector<InForce> held_back_;      // republications that coming_ takes along

    control::Events events_;
    control::CommandTable commands_;
    control::Reload reload_;
    control::Rollouts rollouts_;
    Upgrade upgrade_;
    control::Predecessors predecessors_;
    std::unique_ptr<control::LastClients> last_clients_;  // once another took this one's
    std::unique_ptr<control::ControlSocket> control_;
};

}  // namespace palier::app
