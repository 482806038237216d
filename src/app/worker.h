// Worker: one thread with its own loop, listening sockets, client connections and pools.
//
// What is asked of it happens in the order in which it was asked, in pieces where there is much to do, so that no client
// waits for it. A Done is called on the worker's thread; that of a worker which has ended is dropped.
//
// Thread: construction and start() on the supervisor's; the rest by messages on its own.
// Owner: the Supervisor. Ends: stop() or hand_over(), then join().
#pragma once

#include "app/chores.h"
#include "app/gates.h"
#include "app/memory_guard.h"
#include "palier/control/engine.h"
#include "palier/net/loop.h"
#include "palier/net/mailbox.h"
#include "palier/proxy/client_connection.h"
#include "palier/proxy/worker_core.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

namespace palier::app {

class Worker final : private net::TurnObserver {
  public:
    using Done = std::move_only_function<void()>;

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

    /// `done`: it is in force, no exchange begins under an older one and no server is picked by it.
    void publish(std::shared_ptr<const proxy::Snapshot> snapshot, Done done = {});
    /// The same, and from now on it accepts on these sockets and no others: see Gates. A configuration whose listeners
    /// are others than before comes this way.
    void publish(std::shared_ptr<const proxy::Snapshot> snapshot, std::vector<WorkerListener> listeners,
                 Done done = {});
    /// Accepts all that wait and closes the listening sockets, until it is given others; connections stay as they are.
    void close_listeners(Done done = {});
    void set_max_connections(std::size_t most);
    /// Access log lines go there; null: there is no access log. `done`: the writer until now is no longer used.
    void log_to(proxy::AccessLogWriter* writer, Done done);

    /// Closes the idle connections to a server that went down and, with `cut_off`, those in use.
    void server_down(std::shared_ptr<pool::ServerState> server, bool cut_off);
    /// Closes the idle connections to a server and, with `tunnels`, ends those through it: both sides get a close.
    void close_connections(std::shared_ptr<pool::ServerState> server, bool tunnels, Done done = {});

    /// What it has at present; `take` is called on its thread.
    void report(std::function<void(control::Traffic)> take);
    /// How many connections came through each listening socket, by descriptor.
    void report_listeners(std::function<void(std::map<int, std::size_t>)> take);

    /// While `on`, every response tells its client to go, and HTTP/2 clients get a GOAWAY; the listening sockets stay
    /// open.
    void wind_down(bool on, Done done = {});
    /// Memory is short, or no longer: closes idle connections and lets nobody in, as MemoryGuard says. To be repeated
    /// while it is; each time some of the idle ones are closed.
    void relieve(Pressure pressure);

    /// Another process has the listening sockets: closes them without accepting what waits, and tells clients to go. An
    /// idle HTTP/1 client, who could not be told, stays until its next request or timeouts.client_idle, so that none
    /// meets a reset. After `grace` tunnels and exchanges are cut. Ends with the last connection.
    void hand_over(std::chrono::milliseconds grace, Done done = {});
    /// Closes the listening sockets and ends when the last exchange has, or when `grace` is over.
    void stop(std::chrono::milliseconds grace);

  private:
    void run();
    void on_turn_end() override;
    void begin_hand_over(std::chrono::milliseconds grace);
    void begin_stop(std::chrono::milliseconds grace);
    void set_leaving();
    void close_idle();
    void visit_all(void (*visit)(proxy::ClientConnection&));
    void on_idle_timer();
    void on_grace_over();
    void cut_all();
    void on_log_timer();

    unsigned index_;
    net::Loop loop_;
    net::Mailbox mailbox_;
    proxy::WorkerCore core_;
    Gates gates_;
    Chores chores_;
    bool winding_down_ = false;
    bool ending_ = false;      // with the last connection
    Pressure pressure_ = Pressure::none;
    bool closing_idle_ = false;
    std::uint64_t spared_ = 0;  // idle connections that were closed for want of memory
    bool grace_over_ = false;  // of a hand-over
    base::Timer log_timer_;
    base::Timer idle_timer_;
    base::Timer grace_timer_;
    std::function<void()> finished_;
    std::thread thread_;
};

}  // namespace palier::app
