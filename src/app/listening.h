// Listening: the process's listening sockets. For each address that a listener has, a row of descriptors, at least one
// for each worker (SO_REUSEPORT).
//
// A change has two steps: prepare() binds what a configuration wants beyond what is there, and fails without a trace;
// commit() makes it so, and only then clients can connect. Sockets that stay are never touched, for connections may be waiting in them. What was handed
// out to workers is theirs to close: once they got a list without it.
//
// Thread: control only. Owner: the supervisor. Ends: the destructor, which closes what no worker was given.
#pragma once

#include "app/worker.h"
#include "palier/base/ip.h"
#include "palier/base/result.h"
#include "palier/config/config.h"
#include "palier/tls/server_context.h"

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace palier::app {

class Listening {
  public:
    /// The sockets of one address. Worker n accepts on those at n, n + workers and so on.
    struct Row {
        /// The address as configured; one with port 0 has its listener's name and place beside it. What two processes
        /// with the same configuration agree on.
        std::string key;
        base::SocketAddress address;  // bound
        std::vector<int> descriptors;
    };

    /// A change that can still be dropped: the sockets that it opened are then closed.
    class Plan {
      public:
        Plan(Plan&&) noexcept = default;
        Plan& operator=(Plan&&) = delete;
        ~Plan();

      private:
        friend class Listening;
        Plan() = default;

        std::vector<Row> rows_;   // all, in the configuration's order
        std::vector<int> fresh_;  // opened for it
    };

    using Contexts = std::span<const std::shared_ptr<const tls::ServerContext>>;  // by listener; null: plain
    using WorkerLists = std::vector<std::vector<WorkerListener>>;                 // by worker

    explicit Listening(unsigned workers) : workers_(workers) {}
    ~Listening();
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

    /// Takes sockets that another palier listens on, before the first prepare(). All of a row are kept, more than there
    /// are workers too: connections wait in each. Rows that the configuration does not want are closed by commit().
    void adopt(std::string key, std::vector<int> descriptors);

    /// Binds what `config` has and is not there. Fails with a sentence, where another process listens on one of the
    /// addresses among others.
    [[nodiscard]] base::Result<Plan> prepare(const config::Config& config) const;
    void commit(Plan plan);
    /// Whether prepare() would find every address free; listens nowhere.
    [[nodiscard]] base::Result<void> check(const config::Config& config) const;
    /// The sockets that are not among those of `config`.
    [[nodiscard]] std::set<int> leaving(const config::Config& config) const;

    /// What each worker is to accept on, all of it. `config` is that of the last commit().
    [[nodiscard]] WorkerLists hand_out(const config::Config& config, Contexts contexts);
    /// The workers have been told to accept on nothing any more, and close all.
    void forget();

    /// In the configuration's order.
    [[nodiscard]] std::span<const Row> rows() const { return rows_; }

  private:
    [[nodiscard]] const Row* find(const std::string& key) const;
    [[nodiscard]] bool gives_way(const base::SocketAddress& address, std::span<const Row> wanted) const;
    [[nodiscard]] base::Result<void> check_free(const Row& row, std::span<const Row> wanted) const;
    [[nodiscard]] base::Result<void> fill(Row& row, Plan& plan, std::span<const Row> wanted) const;

    unsigned workers_;
    std::vector<Row> rows_;
    std::set<int> own_;  // which no worker was given yet
};

}  // namespace palier::app
