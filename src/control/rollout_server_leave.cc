// The way out of work: wait for enough others, drain, wait for what is in flight, run the hook.

#include "control/rollout_server.h"
#include "control/rollout_words.h"
#include "palier/config/units.h"

#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kTellEveryMs = 1'000;

}  // namespace

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

}  // namespace palier::control
