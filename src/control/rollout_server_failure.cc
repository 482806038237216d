// What becomes of a server when something went wrong with it, or when an operator aborts: put back as it was, or drained
// again, undone and left out.

#include "control/rollout_server.h"

#include <utility>

namespace palier::control {

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

}  // namespace palier::control
