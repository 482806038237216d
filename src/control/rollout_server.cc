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

#include "control/rollout_server.h"

#include "control/rollout_words.h"
#include "palier/config/units.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kTickMs = 50;
constexpr std::uint64_t kTellEveryMs = 1'000;

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

void RolloutServer::wait_for_others() {
    const std::size_t others = usable_others();
    if (others >= options_.min_available) {
        drain(in_flight_words());
        return;
    }
    const std::string words =
        fmt::format("{} usable beside it, and min_available is {}", others, options_.min_available);
    if (waited_long_enough()) {
        fail(words);
    } else if (std::exchange(told_ms_, now_ms()) == 0) {
        callbacks_.on_step(*this, words);
    }
}

void RolloutServer::drain(std::string_view detail) {
    deadline_ms_ = now_ms() + ms_of(options_.wait);
    told_in_flight_ = in_flight();
    told_ms_ = now_ms();
    take_out(RolloutStep::drain, detail);
}

/// What is kept says so first: whoever finds it drained then knows by whom, whenever palier was killed.
void RolloutServer::take_out(RolloutStep step, std::string_view detail) {
    drained_ = true;
    go_to(step, detail);
    const std::string unkept = change_admin(pool::Admin::drained);
    if (!unkept.empty()) callbacks_.on_step(*this, unkept);
    publish(&RolloutServer::close_idle);
}

/// Nobody picks it any more.
void RolloutServer::close_idle() {
    if (step_ != RolloutStep::drain && step_ != RolloutStep::back_out) return;
    in_force_ = true;
    const auto closed = [this, life = std::weak_ptr(life_)] {
        if (!life.expired()) --closing_;
    };
    const auto all = addresses();
    closing_ += all.size();
    for (const pool::Server* server : all)
        ground_.engine.close_connections(server->state, options_.close_tunnels, closed);
}

void RolloutServer::wait_for_drained() {
    const std::uint32_t left = in_flight();
    if (in_force_ && left == 0 && closing_ == 0) {
        if (step_ == RolloutStep::drain) {
            run_hook(RolloutStep::hook);
        } else {
            run_undo();
        }
        return;
    }
    if (waited_long_enough()) {
        const std::string words =
            fmt::format("{} after {}", in_flight_words(), config::to_text(options_.wait));
        if (step_ == RolloutStep::drain) {
            fail(words);
        } else {
            callbacks_.on_step(*this, words);
            run_undo();
        }
        return;
    }
    if (left == told_in_flight_ || now_ms() - told_ms_ < kTellEveryMs) return;
    told_in_flight_ = left;
    told_ms_ = now_ms();
    callbacks_.on_step(*this, in_flight_words());
}

void RolloutServer::run_hook(RolloutStep step) {
    auto& hook = step == RolloutStep::hook ? hook_ : undo_;
    const std::string& command = step == RolloutStep::hook ? options_.run : options_.undo;
    hook = std::make_unique<RolloutHook>(
        ground_.loop, RolloutHook::Settings{command, options_.shell, options_.timeout, ground_.kill_after_ms},
        [this](net::Process::Stream stream, std::string_view line) {
            if (!over()) callbacks_.on_line(*this, stream, line);
        },
        [this](const std::string& fault) { on_hook_end(fault); });
    // Kept before it begins: a server whose hook was cut off is never taken for one that is as it was.
    go_to(step, options_.shell ? command : filled(command, task_.place));
    const auto started = hook->start(task_.place);
    if (started) {
        hook_pid_ = hook->pid();
        callbacks_.on_hook(*this);
        return;
    }
    if (step == RolloutStep::undo) {
        on_hook_end(started.error().message);
    } else {
        hook.reset();
        fail(started.error().message);
    }
}

void RolloutServer::on_hook_end(const std::string& fault) {
    hook_pid_ = 0;
    if (over()) return;
    if (step_ == RolloutStep::undo) {
        end_.undo = fault.empty() ? "done" : fault;
        end(Outcome::failed, end_.why);
    } else if (aborting_) {
        end(Outcome::aborted, fault.empty() ? "aborted once its hook was done" : "its hook was terminated");
    } else if (!fault.empty()) {
        fail(fault);
    } else {
        warm_up();
    }
}

void RolloutServer::fail(const std::string& why) {
    end_.step = text_of(step_);
    end_.why = why;
    if (step_ == RolloutStep::warm) warm_up_->cancel();
    if (!hook_) {
        put_back(why);
    } else if (step_ == RolloutStep::back_out) {
        end(Outcome::failed, why);
    } else if (drained_) {
        run_undo();
    } else {
        back_out(why);
    }
}

bool RolloutServer::fail_if_gone() {
    if (!addresses().empty()) return false;
    fail("it is no longer configured, or its name has no address");
    return true;
}

/// Its hook has not run: nothing was done to it, unless by an interrupted roll-out, which has left it drained.
void RolloutServer::put_back(const std::string& why) {
    if (inherited_) {
        end(aborting_ ? Outcome::aborted : Outcome::failed, why);
        return;
    }
    if (std::exchange(drained_, false)) {
        const std::string unkept = change_admin(pool::Admin::enabled);
        if (!unkept.empty()) callbacks_.on_step(*this, unkept);
        ground_.engine.republish([] {});
    }
    end(aborting_ ? Outcome::aborted : Outcome::untouched, why);
}

void RolloutServer::back_out(const std::string& why) {
    deadline_ms_ = now_ms() + ms_of(options_.wait);
    take_out(RolloutStep::back_out, why);
}

void RolloutServer::run_undo() {
    if (options_.undo.empty()) {
        end(Outcome::failed, end_.why);
        return;
    }
    run_hook(RolloutStep::undo);
}

void RolloutServer::abort() {
    if (over() || std::exchange(aborting_, true)) return;
    switch (step_) {
        case RolloutStep::available:
        case RolloutStep::drain:
            put_back("aborted");
            return;
        case RolloutStep::hook:
            hook_->terminate();
            return;
        case RolloutStep::undo:
            undo_->terminate();
            return;
        case RolloutStep::back_out:
            end(Outcome::failed, end_.why);
            return;
        case RolloutStep::warm:
            warm_up_->cancel();
            [[fallthrough]];
        case RolloutStep::probe:
        case RolloutStep::enable:
        case RolloutStep::slow_start:
        case RolloutStep::soak:
            end(Outcome::aborted, "aborted");
            return;
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
