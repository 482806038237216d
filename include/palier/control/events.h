// Events: what happens, for whoever follows (`palier ctl events`). Servers' transitions come from any thread, through
// pool/transition.h; changes by operators, reloads, upgrades and roll-outs from the control thread.
// Thread: control only, but for what the observer of transitions does on its own. Owner: the supervisor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace palier::net {
class Loop;
}

namespace palier::control {

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

    /// Calls `follower` with every event until unfollow() of what this returned. Not from within a follower.
    [[nodiscard]] std::uint64_t follow(Follower follower);
    void unfollow(std::uint64_t id);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace palier::control
