// What an event loop deletes only after the stack that asked for it has unwound.
//
// A callback often finds out that its own object is finished. It must not delete itself: callers further up
// the stack still use it, and events for it may already be in the batch being handled. So its owner hands it
// to Loop::defer_delete, and it dies when the turn ends.
#pragma once

namespace palier::net {

class Deferred {
  public:
    virtual ~Deferred() = default;
};

}  // namespace palier::net
