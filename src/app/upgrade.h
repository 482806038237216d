// Upgrade: the replacing of this process by another palier, seen from both: the command `upgrade` starts the next one,
// `take-over` (control/take_over.h) lets it in, and a palier that was started with --take-over steps in here.
//
//     upgrade's steps     goes on when
//     check               the other binary has found the configuration to be fine (it is run as `check -c FILE`)
//     started             it runs with our own arguments, and has told that it is ready
//     ready               it serves, and we leave
//
// Anything else ends with an error, the other process ended, and this palier as it was.
//
// Thread: control only. Owner: the supervisor. Ends: the destructor; a palier that serves in our place lives on.
#pragma once

#include "app/forwarder.h"
#include "app/notify.h"
#include "palier/base/timer_wheel.h"
#include "palier/control/command.h"
#include "palier/control/events.h"
#include "palier/control/take_over.h"
#include "palier/net/loop.h"
#include "palier/net/process.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace palier::app {

/// The path of this program on the disk, where a newer one may be by now; to be asked for at start.
[[nodiscard]] std::string own_binary();

class Upgrade {
  public:
    /// How this process was started.
    struct Invocation {
        std::string binary;
        std::string file;                    // the configuration's
        std::vector<std::string> arguments;  // with which the next one is started
    };

    /// What the supervisor has to say and do.
    struct Hooks {
        std::function<std::string()> obstacle;    // why not now; "": it can be
        std::function<control::Estate()> estate;  // but for the forwarder
        std::function<void()> hand_over;  // accept nothing more, leave everything to the other one, and end
        /// The control socket's file is the other's. `channel` leads to it, and is the supervisor's; -1: it died.
        std::function<void(int channel)> leave_control_path;
        std::function<void(int exit_code)> ended;  // the one that served instead: there is nobody to stay for
    };

    /// `from`: the palier in whose place this one steps, if any.
    Upgrade(net::Loop& loop, control::CommandTable& commands, control::Events& events,
            const Notifier& notifier, Invocation invocation, Hooks hooks,
            std::optional<control::TakeOver> from);
    ~Upgrade();
    Upgrade(const Upgrade&) = delete;
    Upgrade& operator=(const Upgrade&) = delete;

    /// Adds `upgrade` and `take-over`.
    void add_commands();

    // The new one's part.

    /// What the palier before left us, until serves(); null where there was none.
    [[nodiscard]] control::Estate* inherited() { return from_ ? &from_->estate() : nullptr; }
    /// Everything is prepared: the palier before stops accepting. Fails with its reason for not doing so. Blocks.
    [[nodiscard]] base::Result<void> step_in();
    /// Tells the palier before why this one cannot.
    void step_back(std::string_view why);
    /// Clients are served, and the control socket is in its place. The channel to the palier before, the caller's; -1:
    /// there was none.
    [[nodiscard]] int serves();

    // The old one's.

    /// Another palier is about to take over, or has: nothing may be changed any more.
    [[nodiscard]] bool under_way() const { return hand_over_.under_way() || left(); }
    /// Another palier serves.
    [[nodiscard]] bool left() const { return hand_over_.done(); }
    /// And has not put its control socket in place of ours yet.
    [[nodiscard]] bool leaving() const { return hand_over_.leaving(); }
    /// This palier stops: whoever prepares to take over may not.
    void give_up(std::string_view why);
    /// What this process still is for, after it has left and ended all else, for forward(); null: for nothing.
    [[nodiscard]] std::unique_ptr<Forwarder> take_forwarder();

  private:
    /// A command `upgrade` that has no answer yet.
    struct Attempt {
        std::shared_ptr<control::Reply> reply;
        std::string binary;
        std::uint64_t wait_ms = 0;
        bool started = false;           // otherwise it is checked
        std::deque<std::string> lines;  // the last ones that the check printed
        std::string failure;            // the first; its process is being ended
    };

    void begin(const control::Request& request, std::shared_ptr<control::Reply> reply);
    void check();
    void on_checked(const net::Process::End& end);
    void start_next();
    void on_next_ended(const net::Process::End& end);
    void on_late();
    void abandon(std::string why);
    void fail(std::string why);

    [[nodiscard]] control::HandOver::Hooks hand_over_hooks();
    [[nodiscard]] control::Estate estate();
    void announce(const control::HandOver::Successor& successor);
    void on_given_up(std::string_view why);
    void on_left(const control::HandOver::Successor& successor);
    void on_path_left(int channel);
    void stay_for(const control::HandOver::Successor& successor);
    void close_line();

    net::Loop& loop_;
    control::CommandTable& commands_;
    control::Events& events_;
    const Notifier& notifier_;
    const Invocation invocation_;
    Hooks hooks_;
    std::optional<control::TakeOver> from_;
    const bool stays_;
    control::HandOver hand_over_;
    std::optional<Attempt> attempt_;
    std::shared_ptr<control::Reply> reply_;  // of an upgrade that is done but for the control socket
    std::unique_ptr<net::Process> process_;  // the check, then the next palier
    base::Timer late_timer_ = base::Timer::calling<&Upgrade::on_late>(this);
    int line_ = -1;           // to the process that stays for all of us
    int line_end_ = -1;       // the other end, where that is this one
    bool announced_ = false;  // to the service manager: that the other one is the main process
    std::unique_ptr<Forwarder> forwarder_;
};

}  // namespace palier::app
