// One server's steps.
//
//   step       | what happens                              | goes on when                    | fails when
//   available  | nothing yet                               | min_available others are usable | not within `wait`: untouched
//   drain      | drained, idle connections closed          | nothing is in flight            | not within `wait`: put back, untouched
//   hook       | the hook runs                             | it exits with 0                 | it exits otherwise, or not within `timeout`
//   warm       | the paths are asked for                   | each was answered 2xx or 3xx    | not within `warm_timeout`
//   probe      | what probes found before counts no longer | `rise` probes succeeded         | not in the time they would take, or `wait`
//   enable     | back to work                              | all workers know                | an operator has disabled it meanwhile
//   slow-start | its share grows                           | it is at its full weight        | probes take it down, traffic ejects it
//   soak       | it is compared with the others            | `soak` has passed               | the same, or it does worse (rollout_soak.h)
//
// Until its hook has begun, nothing was done to a server. Whoever fails before `enable` is still drained; after it,
// back_out drains it again and waits for what is in flight, for `wait` at most. Then undo runs, if there is one, and it is
// left drained. Steps without anything to do are skipped.
//
// The steps up to the hook are in rollout_server_leave.cc, those after it in rollout_server_return.cc, back_out and undo in
// rollout_server_failure.cc.

#include "control/rollout_server.h"

#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kTickMs = 50;

}  // namespace

std::string_view text_of(RolloutStep step) {
    switch (step) {
        case RolloutStep::available:
            return "available";
        case RolloutStep::drain:
            return "drain";
        case RolloutStep::hook:
            return "hook";
        case RolloutStep::warm:
            return "warm";
        case RolloutStep::probe:
            return "probe";
        case RolloutStep::enable:
            return "enable";
        case RolloutStep::slow_start:
            return "slow-start";
        case RolloutStep::soak:
            return "soak";
        case RolloutStep::back_out:
            return "back-out";
        case RolloutStep::undo:
            return "undo";
        case RolloutStep::over:
            break;
    }
    return "over";
}

RolloutServer::RolloutServer(RolloutGround& ground, const RolloutOptions& options, Task task,
                             Callbacks callbacks)
    : ground_(ground),
      options_(options),
      task_(std::move(task)),
      callbacks_(std::move(callbacks)),
      tick_(base::Timer::calling<&RolloutServer::on_tick>(this)),
      life_(std::make_shared<const char>('\0')) {}

void RolloutServer::start() {
    step_from_ms_ = now_ms();
    deadline_ms_ = now_ms() + ms_of(options_.wait);
    ground_.loop.timers().arm(tick_, now_ms());
    drained_ = inherited_ = decided() == pool::Admin::drained;
}

void RolloutServer::go_to(RolloutStep step, std::string_view detail) {
    step_ = step;
    step_from_ms_ = now_ms();
    callbacks_.on_step(*this, detail);
}

void RolloutServer::on_tick() {
    ground_.loop.timers().arm(tick_, now_ms() + kTickMs);
    const bool runs_command = step_ == RolloutStep::hook || step_ == RolloutStep::undo;
    if (!runs_command && fail_if_gone()) return;
    switch (step_) {
        case RolloutStep::available:
            wait_for_others();
            return;
        case RolloutStep::drain:
        case RolloutStep::back_out:
            wait_for_drained();
            return;
        case RolloutStep::probe:
            wait_for_probes();
            return;
        case RolloutStep::slow_start:
            wait_for_slow_start();
            return;
        case RolloutStep::soak:
            soak();
            return;
        case RolloutStep::hook:
        case RolloutStep::warm:
        case RolloutStep::enable:
        case RolloutStep::undo:
        case RolloutStep::over:
            return;
    }
}

void RolloutServer::drop() {
    step_ = RolloutStep::over;
    base::TimerWheel::disarm(tick_);
    if (warm_up_) warm_up_->cancel();
    if (hook_) hook_->terminate();
    if (undo_) undo_->terminate();
    life_.reset();
}

void RolloutServer::end(Outcome outcome, const std::string& why) {
    end_.outcome = outcome;
    end_.why = why;
    if (end_.step.empty()) end_.step = text_of(step_);
    end_.drained = drained_;
    end_.touched = hook_ != nullptr;
    step_ = RolloutStep::over;
    base::TimerWheel::disarm(tick_);
    callbacks_.on_end(*this, end_);
}

void RolloutServer::publish(void (RolloutServer::*in_force)()) {
    in_force_ = false;
    ground_.engine.republish([this, life = std::weak_ptr(life_), in_force] {
        if (!life.expired()) (this->*in_force)();
    });
}

/// Gives what the operator is to be told if the change could not be written down.
std::string RolloutServer::change_admin(pool::Admin admin) {
    const std::string unkept =
        ground_.overlay.set_admin(task_.place.pool, task_.place.server, admin, task_.stamp);
    return unkept.empty() ? unkept : fmt::format("in force, but not kept: {}", unkept);
}

}  // namespace palier::control
