// Rollouts: the command `rollout`, which takes a pool's servers out one after another (or `batch` at a time), has a hook
// update each, and puts it back once it has proved itself. src/control/rollout_server.cc has the table of a server's steps.
//
//     rollout web run="deploy.sh {server} {address} {node}" warm="/,/search" undo="rollback.sh {server}"
//     rollout web status | resume | abort
//
// One at a time for each pool. It goes on when the client that began it has gone. What goes wrong with a server stops it:
// that server is left drained, those that have not begun are untouched. Its progress is in the overlay, so that a palier
// that was killed reports an interrupted roll-out, and `resume` begins again with the server that it had come to.
//
// Servers that were drained or disabled before are skipped. The weights that operators gave stay.
//
// Thread: control only. Owner: the supervisor. Ends: the destructor, which kills the hooks that still run.
#pragma once

#include "palier/control/command.h"
#include "palier/control/engine.h"
#include "palier/control/events.h"
#include "palier/control/overlay.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace palier::control {

class Rollouts {
  public:
    static constexpr std::uint64_t kKillAfterMs = 10'000;  // a hook that was told to end

    Rollouts(Engine& engine, Overlay& overlay, Events& events, net::Loop& loop,
             std::uint64_t kill_after_ms = kKillAfterMs);
    ~Rollouts();
    Rollouts(const Rollouts&) = delete;
    Rollouts& operator=(const Rollouts&) = delete;

    /// This must outlive the table's use.
    void add_commands(CommandTable& commands);

    /// Warns of roll-outs that were interrupted or had stopped when palier ended. To be called once the first snapshot and
    /// the overlay are there.
    void report() const;

    /// What stands against an upgrade: "a roll-out of web is under way (front2, step hook)"; "": nothing.
    [[nodiscard]] std::string under_way() const;

    /// For `rollout POOL status` and `pools`: {"pool":"web","state":"running","updated":[…],"at":[{"server":…,"step":…,
    /// "drained":…}],"failed":[…],"skipped":[…],"untouched":[…],"drained":[…],"started":"2026-…Z"}, or {"pool":"web",
    /// "state":"none"}. Other states are interrupted (palier ended meanwhile), stopped and unreadable, the last two
    /// with "why".
    [[nodiscard]] nlohmann::json status(const std::string& pool) const;

    /// palier stops: hooks are terminated and no step follows. What is under way counts as interrupted.
    void stop();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace palier::control
