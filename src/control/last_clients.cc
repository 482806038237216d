#include "palier/control/last_clients.h"

#include "control/take_over_channel.h"
#include "control/targets.h"
#include "palier/base/log.h"

#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace palier::control {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLookMs = 100;

/// Of every server that has something in flight: {"web/front1": [3, 1]}, exchanges and the tunnels among them.
std::string loads_of(const proxy::Snapshot& snapshot) {
    json loads = json::object();
    for (const auto& pool : snapshot.pools) {
        for (const pool::Server& server : pool->servers) {
            const Load load = load_of(*server.state);
            if (load.in_flight != 0) loads[server.state->name] = {load.in_flight, load.tunnels};
        }
    }
    return loads.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::shared_ptr<pool::ServerState> find_state(const proxy::Snapshot& snapshot, const std::string& name) {
    for (const auto& pool : snapshot.pools) {
        for (const pool::Server& server : pool->servers) {
            if (server.state->name == name) return server.state;
        }
    }
    return nullptr;
}

}  // namespace

LastClients::LastClients(net::Loop& loop, int channel, Engine& engine, Overlay& overlay)
    : loop_(loop),
      channel_(channel),
      engine_(engine),
      overlay_(overlay),
      self_(std::make_shared<LastClients*>(this)) {
    if (!loop_.watch_level(channel_, *this)) {
        leave();
        return;
    }
    on_look_timer();
}

LastClients::~LastClients() {
    *self_ = nullptr;
    leave();
}

void LastClients::leave() {
    base::TimerWheel::disarm(look_timer_);
    if (channel_ < 0) return;
    loop_.unwatch(channel_);
    ::close(std::exchange(channel_, -1));
}

void LastClients::on_events(std::uint32_t /*ready*/) {
    if (channel_ < 0) return;
    const Heard heard = hear(channel_);
    if (heard.ended) {
        leave();
    } else if (heard.message && heard.message->step == "decisions") {
        decide(heard.message->text, heard.message->number);
    } else if (heard.message && heard.message->step == "close") {
        close_connections(heard.message->text, heard.message->number);
    }
}

void LastClients::decide(const std::string& decisions, std::uint64_t number) {
    if (const auto read = overlay_.import(decisions); !read) {
        base::log_error("what the palier that serves now decided cannot be read: {}", read.error().message);
        tell_done(number);
        return;
    }
    told_.clear();  // whoever decides may be another one than before
    engine_.republish([self = self_, number] {
        if (*self != nullptr) (*self)->tell_done(number);
    });
}

void LastClients::close_connections(const std::string& what, std::uint64_t number) {
    const json order = json::parse(what, nullptr, false);
    const bool sound = order.is_object() && order.contains("server") && order["server"].is_string();
    const auto state = sound ? find_state(engine_.snapshot(), order["server"].get<std::string>()) : nullptr;
    if (!state) {
        tell_done(number);
        return;
    }
    engine_.close_connections(state, order.value("tunnels", json()) == true, [self = self_, number] {
        if (*self != nullptr) (*self)->tell_done(number);
    });
}

/// What is in flight by then comes first: no exchange that began under the former decisions is overlooked.
void LastClients::tell_done(std::uint64_t number) {
    tell_loads();
    if (channel_ >= 0 && !tell(channel_, {.step = "done", .number = number})) leave();
}

void LastClients::tell_loads() {
    if (channel_ < 0) return;
    std::string loads = loads_of(engine_.snapshot());
    if (loads == told_) return;
    if (tell(channel_, {.step = "loads", .text = loads})) {
        told_ = std::move(loads);
    } else {
        leave();
    }
}

void LastClients::on_look_timer() {
    tell_loads();
    if (channel_ >= 0) loop_.timers().arm(look_timer_, loop_.now_ms() + kLookMs);
}

}  // namespace palier::control
