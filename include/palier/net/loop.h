// Loop: one thread's event loop.
//
// libuv runs mailboxes, signals and whatever else comes along rarely. The sockets that carry traffic are
// watched by an edge-triggered epoll set of the loop's own, in which libuv's descriptor is one member:
// registering a uv_poll_t costs five system calls for each connection and re-arming it two, an edge-triggered
// entry costs one in its whole life. Timers live in the timer wheel; the time is read once a turn.
//
// Thread: every method but wake-ups through Mailbox belongs to the thread that runs the loop.
// Owner: a worker or the control thread. Ends: the destructor closes every libuv handle and asserts that none
// is left.
#pragma once

#include "palier/base/intrusive_list.h"
#include "palier/base/timer_wheel.h"
#include "palier/net/deferred.h"

#include <cstdint>
#include <memory>
#include <vector>

#include <uv.h>

namespace palier::net {

/// What is ready, as flags.
enum Ready : std::uint32_t {
    kReadable = 1,
    kWritable = 2,
    kHangup = 4,  // the peer will send no more (FIN), or the connection is gone
    kError = 8,
};

/// Receives the events of one descriptor. It must outlive the turn in which it was removed: see Deferred.
class Watcher {
  public:
    virtual void on_events(std::uint32_t ready) = 0;

  protected:
    ~Watcher() = default;
};

/// Work that is to go on in the next turn, after other connections have had theirs. Unlinks itself when
/// destroyed.
class Task : public base::ListLink<Task> {
  public:
    virtual void on_again() = 0;

  protected:
    ~Task() = default;
};

/// Called at the end of each turn in which something happened, before deferred deletions.
class TurnObserver : public base::ListLink<TurnObserver> {
  public:
    virtual void on_turn_end() = 0;

  protected:
    ~TurnObserver() = default;
};

class Loop {
  public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Runs until stop() is called on this thread.
    void run();
    /// One turn that waits at most `max_wait_ms`. For tests and for closing down.
    void run_once(int max_wait_ms);
    void stop() { stopping_ = true; }

    /// Milliseconds and microseconds of the monotonic clock, as of the start of this turn.
    [[nodiscard]] std::uint64_t now_ms() const { return now_us_ / 1000; }
    [[nodiscard]] std::uint64_t now_us() const { return now_us_; }

    /// Counts the turns: the events of a turn had all happened when it began.
    [[nodiscard]] std::uint64_t turn() const { return turn_; }

    [[nodiscard]] base::TimerWheel& timers() { return timers_; }

    /// Watches `descriptor`, edge-triggered, both ways, until forget() and its closing. False with errno set.
    [[nodiscard]] bool watch(int descriptor, Watcher& watcher);
    /// From now on `watcher` hears of a descriptor that is watched already; what was told before is not told anew.
    void rewatch(int descriptor, Watcher& watcher);
    /// Nobody hears of `descriptor` any more, which is about to be closed. A child process holds it until it runs its
    /// program: until then it has events still, which find no watcher.
    void forget(int descriptor);
    /// Watches for readability only, level-triggered: for listening sockets.
    [[nodiscard]] bool watch_level(int descriptor, Watcher& watcher);
    /// The same with a choice of events, added or changed: for a library that owns its descriptors.
    [[nodiscard]] bool watch_level(int descriptor, Watcher& watcher, bool readable, bool writable);
    /// Takes it out of the set, for one that stays open, here or in another process.
    void unwatch(int descriptor);

    /// Calls `task` once in the next turn, which then does not wait for events.
    void again(Task& task) {
        if (!task.linked()) again_.push_back(task);
    }

    void defer_delete(std::unique_ptr<Deferred> object) { graveyard_.push_back(std::move(object)); }
    void observe_turns(TurnObserver& observer) { observers_.push_back(observer); }

    /// The libuv loop. Each use makes libuv run once in the next turn, so that it registers what was started.
    [[nodiscard]] uv_loop_t* uv() {
        uv_used_ = true;
        return &uv_;
    }

  private:
    /// Who hears of a descriptor. Events name it with its term, so that what was meant for one that had the same number
    /// before reaches nobody; and a change of watchers, or a close, takes no system call.
    struct Watched {
        Watcher* watcher = nullptr;
        std::uint32_t term = 0;
    };
    /// By one call of epoll_ctl(2). False with errno set.
    [[nodiscard]] bool enlist(int operation, int descriptor, std::uint32_t events, Watcher& watcher);
    [[nodiscard]] Watcher* watcher_of(std::uint64_t data) const;

    [[nodiscard]] int wait_ms(int max_wait_ms);
    void update_time();
    void run_tasks();
    void bury();

    uv_loop_t uv_{};
    bool uv_used_ = true;
    bool stopping_ = false;
    int epoll_ = -1;
    std::vector<Watched> watched_;  // by descriptor
    std::uint64_t now_us_ = 0;
    std::uint64_t turn_ = 0;
    base::TimerWheel timers_;
    base::IntrusiveList<TurnObserver> observers_;
    base::IntrusiveList<Task> again_;
    std::vector<std::unique_ptr<Deferred>> graveyard_;
};

}  // namespace palier::net
