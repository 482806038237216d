// WorkerTeam: all workers, and what is said to all of them at once.
//
// Where a message has a `done`, that is called on the control thread once every worker has dealt with the message; a
// worker that has ended has nothing to deal with.
//
// Thread: control only. Owner: the supervisor. Ends: join(), then the destructor.
#pragma once

#include "app/listening.h"
#include "app/worker.h"
#include "palier/control/engine.h"
#include "palier/net/mailbox.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace palier::app {

class WorkerTeam {
  public:
    using Done = std::function<void()>;

    /// `mailbox`: the control thread's, which outlives every worker.
    explicit WorkerTeam(net::Mailbox& mailbox) : mailbox_(mailbox) {}
    WorkerTeam(const WorkerTeam&) = delete;
    WorkerTeam& operator=(const WorkerTeam&) = delete;

    /// One worker for each list. `clients`: over all of them.
    void start(const std::shared_ptr<const proxy::Snapshot>& snapshot, proxy::AccessLogWriter* log_writer,
               Listening::WorkerLists lists, std::size_t clients);
    [[nodiscard]] bool started() const { return !workers_.empty(); }
    /// Workers that have not ended yet.
    [[nodiscard]] std::size_t running() const { return running_; }
    /// Waits for all of them to end, and forgets them.
    void join();

    void publish(const std::shared_ptr<const proxy::Snapshot>& snapshot, Done done);
    /// And from now on they accept on what `lists` has, and on nothing else.
    void publish(const std::shared_ptr<const proxy::Snapshot>& snapshot, Listening::WorkerLists lists,
                 Done done);
    /// Until they are given others.
    void close_listeners(Done done);
    void server_down(const std::shared_ptr<pool::ServerState>& server, bool cut_off);
    void close_connections(const std::shared_ptr<pool::ServerState>& server, bool tunnels, Done done);
    void ask_traffic(std::function<void(const control::Traffic&)> answer);
    /// How many clients came through these listening sockets.
    void ask_connections(std::set<int> descriptors, std::function<void(std::uint64_t)> answer);
    /// While `on`, clients are told to go at their next response.
    void wind_down(bool on, Done done);
    /// Clients at a time, over all workers.
    void limit_clients(std::size_t clients);
    /// Access log lines go there; null: there is no access log. `done`: the writer until now is no longer used.
    void log_to(proxy::AccessLogWriter* writer, Done done);
    /// As Worker::hand_over() and Worker::stop() have it.
    void hand_over(std::chrono::milliseconds grace, Done done);
    void relieve(Pressure pressure);
    void stop(std::chrono::milliseconds grace);

  private:
    /// Held by each message: when the last one has run or was dropped, `done` is called.
    [[nodiscard]] std::shared_ptr<void> barrier(Done done);

    [[nodiscard]] std::size_t share_of(std::size_t clients) const;

    net::Mailbox& mailbox_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::size_t running_ = 0;
};

}  // namespace palier::app
