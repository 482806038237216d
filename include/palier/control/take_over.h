// TakeOver and HandOver: how a new palier takes the place of the one that runs, without one connection refused or lost.
//
//     new                                        old
//     take-over, on the control socket       →   nothing that operators may change is changed from here on
//                                            ←   the Estate: descriptors beside lines of JSON; among them a channel
//     prepares everything, serves nobody yet     serves on
//     ready, over the channel                →
//                                            ←   leaving
//     accepts, on the same sockets               accepts nothing more, tells its clients to go
//     is at the control socket's path,       →   closes its control socket
//     serving
//
// What goes wrong before "leaving" (the new one says so, dies, or is not ready in time) leaves the old one as it was. Nobody
// is lost with the new one then, for it accepts nothing before; and where the old one dies first, the new one serves.
// After "serving" the channel goes on as last_clients.h says.
//
// Thread: control only. Owner: of HandOver, the old supervisor, for its whole life; of TakeOver, the new one.
#pragma once

#include "palier/base/result.h"
#include "palier/base/timer_wheel.h"
#include "palier/control/command.h"
#include "palier/control/estate.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace palier::control {

/// The old one's part.
class HandOver final : private net::Watcher {
  public:
    /// Until when the new one must be ready, unless told otherwise.
    static constexpr std::uint64_t kReadyMs = 60'000;
    /// Why one is given up that did not say anything.
    static constexpr std::string_view kEnded = "it ended before it was ready";

    struct Successor {
        std::int32_t pid = 0;  // 0: not to be seen from here, as in another container
        std::string version;
    };

    /// What the process around it has to say and do.
    struct Hooks {
        std::function<std::string()> obstacle;  // why it cannot be now; "": it can
        std::function<Estate()> estate;         // the descriptors stay the owner's
        std::function<void(const Successor&, std::string_view why)> given_up;
        /// The other one is about to be told that it serves; it could still turn out to have died.
        std::function<void(const Successor&)> announce;
        /// The other one serves.
        std::function<void(const Successor&)> leave;
        /// The control socket's path is the other's too, and `channel` leads to it and is the callee's; or it died
        /// after all, and there is none: -1.
        std::function<void(int channel)> left;
    };

    HandOver(net::Loop& loop, CommandTable& commands, std::string version, Hooks hooks);
    ~HandOver();
    HandOver(const HandOver&) = delete;
    HandOver& operator=(const HandOver&) = delete;

    /// `take-over`, for the table.
    [[nodiscard]] Command command();

    /// It has been asked for, and neither given up nor done.
    [[nodiscard]] bool under_way() const { return state_ == State::preparing; }
    /// The other one serves, and has not said yet that the control socket's path is its own.
    [[nodiscard]] bool leaving() const { return state_ == State::leaving; }
    /// For good.
    [[nodiscard]] bool done() const { return state_ == State::leaving || state_ == State::left; }
    [[nodiscard]] const Successor& successor() const { return successor_; }

    /// The new one's deadline, from now on.
    void expect_within(std::uint64_t ms);
    /// The new one's process has ended: what it said before counts.
    void hear_last() {
        if (under_way()) on_events(0);
    }
    /// Forgets the new one, which learns `why`.
    void give_up(std::string_view why);

  private:
    enum class State : std::uint8_t { idle, preparing, leaving, left };

    void begin(const Request& request, Reply& reply);
    [[nodiscard]] std::string refusal(const Request& request) const;
    void on_events(std::uint32_t ready) override;
    void on_ready();
    void on_left(bool serves);
    void on_late();
    void close_channel();

    net::Loop& loop_;
    CommandTable& commands_;
    const std::string version_;
    Hooks hooks_;
    State state_ = State::idle;
    Successor successor_;
    int channel_ = -1;
    base::Timer late_timer_ = base::Timer::calling<&HandOver::on_late>(this);
};

/// The new one's part. Every call blocks, for a few seconds at most.
class TakeOver {
  public:
    enum class Outcome : std::uint8_t {
        leaving,  // the old one accepts nothing more
        gone,     // it died: there is nobody but us
    };

    /// Asks whoever answers on the control socket at `path`; nothing where nobody does.
    [[nodiscard]] static base::Result<std::optional<TakeOver>> from(const std::string& path,
                                                                    std::string_view version);
    /// Closes what is still in the estate. Before ready(), the old one goes on then.
    ~TakeOver();
    TakeOver(TakeOver&& other) noexcept;
    TakeOver& operator=(TakeOver&&) = delete;

    /// Descriptors are taken out of it by whoever uses them.
    [[nodiscard]] Estate& estate() { return estate_; }

    /// Everything is prepared. Fails with the old one's reason for serving on.
    [[nodiscard]] base::Result<Outcome> ready();
    /// Clients are served, and the control socket is in its place. The channel to the old one is the caller's now.
    [[nodiscard]] int serving();
    /// Tells the old one what it is spared.
    void failed(std::string_view why);

  private:
    TakeOver(Estate estate, int channel) : estate_(std::move(estate)), channel_(channel) {}

    [[nodiscard]] base::Result<Outcome> answer() const;

    Estate estate_;
    int channel_;
};

}  // namespace palier::control
