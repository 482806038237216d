#include "palier/net/loop.h"

#include "palier/base/assert.h"
#include "palier/base/clock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include <sys/epoll.h>
#include <unistd.h>

namespace palier::net {
namespace {

constexpr std::size_t kEventsPerTurn = 512;
constexpr std::uint32_t kBothWays = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

std::uint32_t ready_of(std::uint32_t events) {
    std::uint32_t ready = 0;
    if ((events & EPOLLIN) != 0) ready |= kReadable;
    if ((events & EPOLLOUT) != 0) ready |= kWritable;
    if ((events & EPOLLRDHUP) != 0) ready |= kReadable | kHangup;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) ready |= kReadable | kWritable | kHangup;
    if ((events & EPOLLERR) != 0) ready |= kError;
    return ready;
}

constexpr std::uint64_t kLibuv = std::numeric_limits<std::uint64_t>::max();  // an event's data: libuv's descriptor

bool control(int epoll, int operation, int descriptor, std::uint32_t events, std::uint64_t data) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    return epoll_ctl(epoll, operation, descriptor, &event) == 0;
}

}  // namespace

Loop::Loop() : timers_(base::monotonic_ms()) {
    if (const int error = uv_loop_init(&uv_); error != 0) {
        throw std::system_error(-error, std::system_category(), "uv_loop_init");
    }
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
    if (!control(epoll_, EPOLL_CTL_ADD, uv_backend_fd(&uv_), EPOLLIN, kLibuv)) {
        throw std::system_error(errno, std::system_category(), "epoll_ctl");
    }
    update_time();
}

Loop::~Loop() {
    bury();
    while (uv_loop_close(&uv_) == UV_EBUSY) {
        const int left = uv_run(&uv_, UV_RUN_NOWAIT);
        PALIER_ASSERT(left == 0 || uv_loop_alive(&uv_) == 0);
    }
    ::close(epoll_);
}

void Loop::update_time() {
    now_us_ = base::monotonic_us();
}

int Loop::wait_ms(int max_wait_ms) {
    if (uv_used_ || !again_.empty() || !graveyard_.empty()) return 0;
    const std::uint64_t timers = timers_.next_wake(now_ms());
    const auto wait = std::min<std::uint64_t>(timers, std::numeric_limits<int>::max());
    return std::min(static_cast<int>(wait), max_wait_ms);
}

void Loop::run() {
    stopping_ = false;
    while (!stopping_)
        run_once(std::numeric_limits<int>::max());
}

void Loop::run_once(int max_wait_ms) {
    std::array<epoll_event, kEventsPerTurn> events;  // filled by the kernel
    const int count =
        epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms(max_wait_ms));
    update_time();
    ++turn_;
    bool uv_ready = std::exchange(uv_used_, false);
    run_tasks();
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.u64 == kLibuv) {
            uv_ready = true;
        } else if (Watcher* watcher = watcher_of(event.data.u64)) {
            watcher->on_events(ready_of(event.events));
        }
    }
    if (uv_ready) uv_run(&uv_, UV_RUN_NOWAIT);
    timers_.advance(now_ms());
    for (TurnObserver* observer = observers_.front(); observer != nullptr;) {
        TurnObserver* next = observers_.next(observer);
        observer->on_turn_end();
        observer = next;
    }
    bury();
}

bool Loop::enlist(int operation, int descriptor, std::uint32_t events, Watcher& watcher) {
    if (descriptor < 0) {
        errno = EBADF;
        return false;
    }
    const auto place = static_cast<std::size_t>(descriptor);
    if (place >= watched_.size()) watched_.resize(std::max(place + 1, watched_.size() * 2));
    Watched& entry = watched_[place];
    entry.watcher = &watcher;
    const std::uint64_t data = std::uint64_t{++entry.term} << 32 | place;
    if (control(epoll_, operation, descriptor, events, data)) return true;
    entry.watcher = nullptr;
    return false;
}

Watcher* Loop::watcher_of(std::uint64_t data) const {
    const Watched& entry = watched_[static_cast<std::uint32_t>(data)];
    return entry.term == data >> 32 ? entry.watcher : nullptr;
}

bool Loop::watch(int descriptor, Watcher& watcher) {
    return enlist(EPOLL_CTL_ADD, descriptor, kBothWays, watcher);
}

void Loop::rewatch(int descriptor, Watcher& watcher) {
    watched_[static_cast<std::size_t>(descriptor)].watcher = &watcher;
}

bool Loop::watch_level(int descriptor, Watcher& watcher) {
    return enlist(EPOLL_CTL_ADD, descriptor, EPOLLIN, watcher);
}

bool Loop::watch_level(int descriptor, Watcher& watcher, bool readable, bool writable) {
    const std::uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    return enlist(EPOLL_CTL_MOD, descriptor, events, watcher) ||
           (errno == ENOENT && enlist(EPOLL_CTL_ADD, descriptor, events, watcher));
}

void Loop::forget(int descriptor) {
    watched_[static_cast<std::size_t>(descriptor)].watcher = nullptr;
}

void Loop::unwatch(int descriptor) {
    const auto place = static_cast<std::size_t>(descriptor);
    if (place < watched_.size()) watched_[place].watcher = nullptr;
    epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void Loop::run_tasks() {
    if (again_.empty()) return;
    // Tasks that ask for another turn queue up behind this marker.
    struct Marker final : Task {
        void on_again() override {}
    } marker;
    again_.push_back(marker);
    while (Task* task = again_.pop_front()) {
        if (task == &marker) return;
        task->on_again();
    }
}

void Loop::bury() {
    // A destructor may defer more.
    while (!graveyard_.empty()) {
        auto dead = std::exchange(graveyard_, {});
        dead.clear();
        if (graveyard_.empty()) {
            graveyard_ = std::move(dead);  // keep the capacity
            graveyard_.clear();
            return;
        }
    }
}

}  // namespace palier::net
