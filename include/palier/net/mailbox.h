// Mailbox: the way into a loop's thread from any other. Messages are functions that own their data; a wake-up
// runs all that are there.
// Thread: post() any thread; construction, close() and the messages on the loop's thread.
// Owner: the loop's worker. Ends: close(), after which posts are dropped.
#pragma once

#include "palier/net/loop.h"

#include <functional>
#include <mutex>
#include <vector>

#include <uv.h>

namespace palier::net {

class Mailbox {
  public:
    using Message = std::move_only_function<void()>;

    explicit Mailbox(Loop& loop);
    ~Mailbox();
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    void post(Message message);
    void close();

  private:
    struct Wake;  // the libuv handle, which outlives the mailbox until libuv has closed it

    void drain();

    Loop& loop_;
    std::mutex mutex_;
    std::vector<Message> messages_;  // guarded by mutex_
    Wake* wake_ = nullptr;           // guarded by mutex_; null once closed
};

}  // namespace palier::net
