// Signals: process signals as calls on a loop's thread.
// Thread: the control thread. Owner: the supervisor. Ends: the destructor.
#pragma once

#include "palier/net/loop.h"

#include <functional>
#include <vector>

namespace palier::net {

class Signals {
  public:
    explicit Signals(Loop& loop) : loop_(loop) {}
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    /// Calls `handler` on the loop's thread whenever `signal` arrives.
    void on(int signal, std::function<void()> handler);

  private:
    struct Handle;

    Loop& loop_;
    std::vector<Handle*> handles_;
};

}  // namespace palier::net
