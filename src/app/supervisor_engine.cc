// The supervisor as commands see it: control::Engine.
#include "app/prepared.h"
#include "app/supervisor.h"

#include <utility>

namespace palier::app {

namespace {

/// Called once all copies are gone.
std::shared_ptr<void> after_all(control::Engine::InForce done) {
    return {nullptr, [done = std::move(done)](std::nullptr_t) { done(); }};
}

}  // namespace

/// Between two configurations, what is published waits for the one that is coming.
void Supervisor::republish(InForce in_force) {
    const auto everywhere = after_all(std::move(in_force));
    predecessors_.decide(overlay_.exported(), [everywhere] {});
    in_force = [everywhere] {};
    if (coming_) {
        held_back_.push_back(std::move(in_force));
        return;
    }
    team_.publish(next_snapshot(), std::move(in_force));
}

void Supervisor::close_connections(std::shared_ptr<pool::ServerState> server, bool tunnels, InForce done) {
    const auto everywhere = after_all(std::move(done));
    predecessors_.close_connections(server->name, tunnels, [everywhere] {});
    team_.close_connections(server, tunnels, [everywhere] {});
}

void Supervisor::ask_traffic(std::function<void(const control::Traffic&)> answer) {
    team_.ask_traffic(std::move(answer));
}

std::string_view Supervisor::health_reason(const pool::ServerState& server) const {
    return monitor_.reason(server);
}

void Supervisor::doubt_health(const pool::ServerState& server) {
    monitor_.doubt(server);
}

control::MemoryUse Supervisor::memory() const {
    const auto memory = memory_guard_.memory().value_or(Cgroup::Memory{});
    return {.used = memory.used,
            .limit = memory.limit,
            .pressure = text_of(memory_guard_.pressure()),
            .shortages = memory_guard_.shortages()};
}

void Supervisor::stop() {
    begin_stop(config_->shutdown_grace);
}

/// "" while it serves.
std::string_view Supervisor::obstacle_to_change() const {
    if (!team_.started()) return "palier is starting: try again in a moment";
    return stopping_ ? "palier is stopping" : "";
}

void Supervisor::drain_self(config::Duration wait, Outcome done) {
    if (const auto obstacle = obstacle_to_change(); !obstacle.empty()) return done(std::string(obstacle));
    self_drained_ = true;
    readiness_.drains(true);
    refuse_enabling("palier is drained again");
    if (gates_ == Gates::open)
        loop_.timers().arm(drain_timer_, loop_.now_ms() + static_cast<std::uint64_t>(wait.count()));
    team_.wind_down(true, [done = std::move(done)] { done(""); });
}

/// The grace of a drain is over. A change of the configuration that is under way has the listening sockets.
void Supervisor::close_gates() {
    if (changing()) {
        loop_.timers().arm(drain_timer_, loop_.now_ms() + kChangeLookMs);
        return;
    }
    gates_ = Gates::closing;
    listening_.forget();
    team_.close_listeners([this] {
        gates_ = Gates::closed;
        base::log_info("drained: the listeners are closed");
        go_on_enabling();
    });
}

void Supervisor::enable_self(Outcome done) {
    if (const auto obstacle = obstacle_to_change(); !obstacle.empty()) return done(std::string(obstacle));
    base::TimerWheel::disarm(drain_timer_);
    enabling_.push_back(std::move(done));
    go_on_enabling();
}

/// As soon as nothing else is at the listening sockets.
void Supervisor::go_on_enabling() {
    if (enabling_.empty() || changing() || gates_ == Gates::closing) return;
    if (gates_ == Gates::closed) {
        if (const auto opened = open_gates(); !opened) return refuse_enabling(opened.error().message);
    }
    self_drained_ = false;
    readiness_.drains(false);
    team_.wind_down(false, [enabling = std::exchange(enabling_, {})] {
        for (const auto& enabled : enabling)
            enabled("");
    });
}

void Supervisor::refuse_enabling(const std::string& why) {
    const auto enabling = std::exchange(enabling_, {});
    for (const Outcome& enabled : enabling)
        enabled(why);
}

base::Result<void> Supervisor::open_gates() {
    auto plan = listening_.prepare(*config_);
    if (!plan) return std::unexpected(plan.error());
    listening_.commit(std::move(*plan));
    gates_ = Gates::open;
    team_.publish(builder_.current(), listening_.hand_out(*config_, certificates_.contexts()), [] {});
    return {};
}

}  // namespace palier::app
