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

bool control(int epoll, int operation, int descriptor, std::uint32_t events, void* data) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = data;
    return epoll_ctl(epoll, operation, descriptor, &event) == 0;
}

}  // namespace

Loop::Loop() : timers_(base::monotonic_ms()) {
    if (const int error = uv_loop_init(&uv_); error != 0) {
        throw std::system_error(-error, std::system_category(), "uv_loop_init");
    }
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
    // The libuv descriptor carries no Watcher: a null pointer marks it.
    if (!control(epoll_, EPOLL_CTL_ADD, uv_backend_fd(&uv_), EPOLLIN, nullptr)) {
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
        if (event.data.ptr == nullptr) {
            uv_ready = true;
            continue;
        }
        static_cast<Watcher*>(event.data.ptr)->on_events(ready_of(event.events));
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

bool Loop::watch(int descriptor, Watcher& watcher) {
    return control(epoll_, EPOLL_CTL_ADD, descriptor, kBothWays, &watcher);
}

bool Loop::rewatch(int descriptor, Watcher& watcher) {
    return control(epoll_, EPOLL_CTL_MOD, descriptor, kBothWays, &watcher);
}

bool Loop::watch_level(int descriptor, Watcher& watcher) {
    return control(epoll_, EPOLL_CTL_ADD, descriptor, EPOLLIN, &watcher);
}

bool Loop::watch_level(int descriptor, Watcher& watcher, bool readable, bool writable) {
    const std::uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    return control(epoll_, EPOLL_CTL_MOD, descriptor, events, &watcher) ||
           (errno == ENOENT && control(epoll_, EPOLL_CTL_ADD, descriptor, events, &watcher));
}

void Loop::unwatch(int descriptor) {
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
