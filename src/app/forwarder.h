// Forwarder: what is left of the process by which somebody knows palier (a container's first one, or a service manager's
// that cannot be told of another) once another palier serves in its place. It passes signals on to the one that serves,
// reaps what has lost its parent, and ends with the exit status of the one that serves.
//
// Who that is may change again. Each palier hands the next one the same end of a line (Estate::forwarder), over which
// whoever serves says so, and an old one tells how its child ended; the kernel tells who says it.
//
// Thread: control only. Owner: the supervisor at first, then the command that serves. Ends: ended() and the destructor.
#pragma once

#include "palier/base/result.h"
#include "palier/base/timer_wheel.h"
#include "palier/net/loop.h"
#include "palier/net/signals.h"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include <sys/types.h>

namespace palier::app {

/// Whether the end of this process would be taken for the end of the service: it is the first of its container, or was
/// started (by nobody that it has `replaced`) by such a one or by a service manager to which no NOTIFY_SOCKET leads. To be
/// asked at start, for a process whose parent ends is given another.
[[nodiscard]] bool must_stay(bool replaced);

/// The line to a Forwarder, [0] its own end. The caller closes both.
[[nodiscard]] base::Result<std::array<int, 2>> open_forwarder_line();
/// This process serves now.
void say_serving(int line);
/// The process that was said to serve has ended, `status` as of waitpid(2).
void say_ended(int line, pid_t pid, int status);

class Forwarder;

/// What is left of a palier that was replaced, once all else has ended. Returns the exit code.
[[nodiscard]] int forward(Forwarder& forwarder);

class Forwarder : private net::Watcher {
  public:
    /// Takes its end of the line.
    Forwarder(int line, pid_t serving);
    virtual ~Forwarder();
    Forwarder(const Forwarder&) = delete;
    Forwarder& operator=(const Forwarder&) = delete;

    /// From now on its work is done on `loop`; `ended` is called there once there is an exit code. Whatever ends a child
    /// of this process meanwhile, it is reaped.
    void work_on(net::Loop& loop, std::function<void()> ended);
    /// No longer; signals wait until it works again.
    void rest();

    /// Of the process that served.
    [[nodiscard]] std::optional<int> exit_code() const { return exit_code_; }

  private:
    void on_events(std::uint32_t ready) override;
    void read_line();
    void read_message(std::string_view text, pid_t from);
    void now_serves(pid_t pid);
    void watch_serving();
    void pass_on(int signal) const;
    void reap();
    [[nodiscard]] bool serving_gone() const;
    void end(int status);
    void end_unknown();

    const int line_;
    pid_t serving_;
    int serving_descriptor_ = -1;  // becomes readable when it ends, whoever's child it is
    std::optional<int> exit_code_;
    net::Loop* loop_ = nullptr;
    std::function<void()> ended_;
    std::unique_ptr<net::Signals> signals_;
    base::Timer unknown_timer_ = base::Timer::calling<&Forwarder::end_unknown>(this);
};

}  // namespace palier::app
