// Chores: work on a worker's thread that would hold up its clients if it were done in one go. Each is done a piece a
// turn of the loop, one chore after the other.
// Thread: worker only. Owner: the Worker. Ends: with it; what is not done then is dropped.
#pragma once

#include "palier/net/loop.h"

#include <deque>
#include <functional>
#include <utility>

namespace palier::app {

class Chores final : private net::Task {
  public:
    /// Does a piece; true: that was the last.
    using Step = std::move_only_function<bool()>;

    explicit Chores(net::Loop& loop) : loop_(loop) {}
    Chores(const Chores&) = delete;
    Chores& operator=(const Chores&) = delete;

    /// The first piece is done in the next turn.
    void add(Step step) {
        steps_.push_back(std::move(step));
        loop_.again(*this);
    }

  private:
    void on_again() override {
        if (steps_.front()()) steps_.pop_front();
        if (!steps_.empty()) loop_.again(*this);
    }

    net::Loop& loop_;
    std::deque<Step> steps_;
};

}  // namespace palier::app
