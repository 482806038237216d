#include "palier/control/events.h"

#include "palier/base/clock.h"
#include "palier/control/command.h"
#include "palier/net/loop.h"
#include "palier/net/mailbox.h"
#include "palier/pool/transition.h"

#include <atomic>
#include <map>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

// Transitions on their way to the control thread. Beyond this they are only counted: it is held up, and they are no use
// to anybody then.
constexpr std::uint32_t kMostOnTheWay = 10'000;

/// A transition that owns its texts.
struct Passed {
    std::string server, from, to, reason;
    std::uint64_t after_ms = 0;
};

nlohmann::json event_of(Passed passed) {
    return {
        {"event", "server"},          {"server", std::move(passed.server)}, {"from", std::move(passed.from)},
        {"to", std::move(passed.to)}, {"reason", std::move(passed.reason)}, {"after_ms", passed.after_ms}};
}

}  // namespace

struct Events::State {
    explicit State(net::Loop& its_loop) : loop(its_loop), mailbox(its_loop) {}

    void tell(nlohmann::json event) {
        if (followers.empty()) return;
        clock.update(loop.now_ms());
        event["time"] = clock.iso8601();
        for (const auto& [id, follower] : followers)
            follower(event);
    }

    /// Thread: any.
    void pass_on(const pool::ServerState& server, const pool::Transition& transition) {
        if (!followed.load(std::memory_order_relaxed)) return;
        if (on_the_way.fetch_add(1, std::memory_order_relaxed) >= kMostOnTheWay) {
            on_the_way.fetch_sub(1, std::memory_order_relaxed);
            lost.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        mailbox.post([this, passed = Passed{.server = server.name,
                                            .from = std::string(transition.from),
                                            .to = std::string(transition.to),
                                            .reason = std::string(transition.reason),
                                            .after_ms = transition.former_ms}]() mutable {
            on_the_way.fetch_sub(1, std::memory_order_relaxed);
            tell(event_of(std::move(passed)));
            if (const auto count = lost.exchange(0, std::memory_order_relaxed); count != 0)
                tell({{"event", "lost"}, {"transitions", count}});
        });
    }

    net::Loop& loop;
    base::WallClock clock;
    std::map<std::uint64_t, Follower> followers;
    std::uint64_t next_id = 1;
    net::Mailbox mailbox;
    std::atomic<bool> followed = false;
    std::atomic<std::uint32_t> on_the_way = 0;
    std::atomic<std::uint64_t> lost = 0;
};

Events::Events(net::Loop& loop) : state_(std::make_unique<State>(loop)) {
    pool::set_transition_observer(
        [state = state_.get()](const pool::ServerState& server, const pool::Transition& transition) {
            state->pass_on(server, transition);
        });
}

Events::~Events() {
    pool::set_transition_observer({});
}

void Events::tell(nlohmann::json event) {
    state_->tell(std::move(event));
}

bool Events::followed() const {
    return !state_->followers.empty();
}

std::uint64_t Events::follow(Follower follower) {
    state_->followed = true;
    state_->followers.emplace(state_->next_id, std::move(follower));
    return state_->next_id++;
}

void Events::unfollow(std::uint64_t id) {
    // It goes last: what it holds may end with it.
    const auto gone = state_->followers.extract(id);
    state_->followed = !state_->followers.empty();
}

void add_events_command(CommandTable& commands, Events& events) {
    commands.add({.name = "events",
                  .usage = "events",
                  .about = "follow what happens, until you leave",
                  .options = {},
                  .run = [&events](const Request&, std::shared_ptr<Reply> reply) {
                      Reply& ours = *reply;
                      ours.event({{"event", "following"}});
                      const std::uint64_t id = events.follow(
                          [reply = std::move(reply)](const nlohmann::json& event) { reply->event(event); });
                      ours.on_gone([&events, id] { events.unfollow(id); });
                  }});
}

}  // namespace palier::control
