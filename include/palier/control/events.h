// Events: what happens, for whoever follows (`palier ctl events`). Servers' transitions come from any thread, through
// pool/transition.h; changes by operators, reloads, upgrades and roll-outs from the control thread.
//
//     {"event":"server","time":"2026-11-20T23:25:01.123Z","server":"web/front1","from":"up","to":"down",
//      "reason":"HTTP 503, expected 200-399","after_ms":192000}
//
// Thread: control only, but for what the observer of transitions does on its own. Owner: the supervisor; one at a time
// observes transitions. Ends: the destructor, which ends all following; the ControlSocket before it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace palier::net {
class Loop;
}

namespace palier::control {

class CommandTable;

class Events {
  public:
    using Follower = std::function<void(const nlohmann::json& event)>;

    explicit Events(net::Loop& loop);
    ~Events();
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;

    /// `event`: an object with "event" (its kind) and what it tells; the time is added.
    void tell(nlohmann::json event);
    [[nodiscard]] bool followed() const;

    /// Calls `follower` with every event until unfollow() of what this returned. Neither of the two, nor tell(), from within
    /// a follower.
    [[nodiscard]] std::uint64_t follow(Follower follower);
    void unfollow(std::uint64_t id);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The command `events`: follows until the client has gone. `events` must outlive `commands`' use.
void add_events_command(CommandTable& commands, Events& events);

}  // namespace palier::control
