// Reload: the configuration is loaded again, and what differs from the one in force is put in force.
//
// Loading happens on a thread of its own, because a large file takes long to read: probes, the control socket and
// everything else go on meanwhile. Then whatever may fail is prepared, and only then anything changes. One at a time;
// others wait for their turn.
//
// Thread: control only, but for what the loader returns. Owner: the supervisor. Ends: the destructor, which waits for
// the loading that is under way.
#pragma once

#include "palier/config/config.h"
#include "palier/control/certificate_watcher.h"
#include "palier/control/command.h"
#include "palier/control/difference.h"
#include "palier/control/events.h"
#include "palier/net/mailbox.h"

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace palier::control {

/// What was loaded, before it is compared with anything.
struct Candidate {
    config::Config config;
    CertificateWatcher::Stores stores;  // of certificate lists that were not in use
};

class Reload {
  public:
    /// Called on another thread. The error: every mistake, "FILE:LINE:COL: …".
    using Loader = std::function<std::expected<Candidate, std::vector<std::string>>()>;

    /// What works under a configuration, and can go over to another one: the supervisor.
    class Subject {
      public:
        using Committed = std::function<void(base::Result<std::uint64_t> generation)>;

        /// Fails where there is nothing to load.
        [[nodiscard]] virtual base::Result<Loader> loader() const = 0;
        /// Makes ready whatever may fail; nothing changes yet. With `dry_run`, only finds out whether it would fail.
        /// The result: what would change.
        [[nodiscard]] virtual base::Result<Difference> prepare(Candidate candidate, bool dry_run) = 0;
        /// Forgets what was prepared. The result: the generation in force.
        virtual std::uint64_t drop() = 0;
        /// How many connections end with what the prepared one leaves out.
        virtual void count_closed(std::function<void(std::uint64_t)> answer) = 0;
        /// Puts in force what was prepared; `in_force` is called once all workers are under it, or with the reason why
        /// they will not be.
        virtual void commit(Committed in_force) = 0;

      protected:
        ~Subject() = default;
    };

    Reload(net::Mailbox& mailbox, Subject& subject, Events& events)
        : mailbox_(mailbox), subject_(subject), events_(events) {}
    ~Reload();
    Reload(const Reload&) = delete;
    Reload& operator=(const Reload&) = delete;

    /// `reply`: null for a signal, whose outcome is in the log alone.
    void start(bool dry_run, std::shared_ptr<Reply> reply);
    /// One is under way, from before its file is read until it is answered; where others wait, one is.
    [[nodiscard]] bool busy() const { return busy_; }
    /// The command `reload`.
    [[nodiscard]] Command command();

  private:
    using Loaded = std::expected<Candidate, std::vector<std::string>>;

    struct Job {
        bool dry_run = false;
        std::shared_ptr<Reply> reply;
        Difference difference;
        std::uint64_t closes = 0;
        std::uint64_t generation = 0;
    };

    void begin();
    void on_loaded(Loaded loaded);
    void on_counted(std::uint64_t closes);
    void refuse(const std::vector<std::string>& errors);
    void report();
    void end();

    net::Mailbox& mailbox_;
    Subject& subject_;
    Events& events_;
    bool busy_ = false;
    Job job_;  // while busy
    std::deque<Job> waiting_;
    std::thread thread_;
};

}  // namespace palier::control
