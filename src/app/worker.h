// Worker: one thread with its own loop, listening sockets, client connections and pools.
// Thread: construction and start() on the supervisor's; the rest by messages on its own.
// Owner: the Supervisor. Ends: stop(), then join().
#pragma once

#include "palier/base/log.h"
#include "palier/net/listener.h"
#include "palier/net/loop.h"
#include "palier/net/mailbox.h"
#include "palier/proxy/client_connection.h"
#include "palier/proxy/worker_core.h"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace palier::app {

/// A bound socket and what its connections must know.
struct WorkerListener {
    int descriptor = -1;
    proxy::ListenerFacts facts;
};

class Worker final : private net::TurnObserver {
  public:
    /// `max_connections`: clients of this worker at a time. `finished` is called on the worker's thread when
    /// it is about to end.
    Worker(unsigned index, std::shared_ptr<const proxy::Snapshot> snapshot,
           proxy::AccessLogWriter* log_writer, std::vector<WorkerListener> listeners,
           std::size_t max_connections, std::function<void()> finished);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void start();
    void join() { thread_.join(); }

    // Any thread.

    void publish(std::shared_ptr<const proxy::Snapshot> snapshot);
    /// Closes the idle connections to a server that went down and, with `cut_off`, those in use.
    void server_down(std::shared_ptr<pool::ServerState> server, bool cut_off);
    /// Closes the listening sockets and ends when the last exchange has, or when `grace` is over.
    void stop(std::chrono::milliseconds grace);

  private:
    class Gate;

    void run();
    void on_turn_end() override;
    void begin_stop(std::chrono::milliseconds grace);
    void close_idle();
    void cut_all();
    void on_log_timer();
    [[nodiscard]] bool full() const { return core_.connection_count >= max_connections_; }
    void pause_accepting(std::string_view why);
    void resume_accepting();

    unsigned index_;
    net::Loop loop_;
    net::Mailbox mailbox_;
    proxy::WorkerCore core_;
    std::vector<std::unique_ptr<Gate>> gates_;
    std::size_t max_connections_;
    bool paused_ = false;  // for want of descriptors, or at max_connections
    bool pause_logged_ = false;
    base::Timer resume_timer_;
    base::Timer log_timer_;
    base::Timer idle_timer_;
    base::Timer grace_timer_;
    std::function<void()> finished_;
    std::thread thread_;
};

}  // namespace palier::app
