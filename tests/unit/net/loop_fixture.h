// What the tests of net stand on: a loop that turns until something holds, descriptors that close themselves,
// and a watcher that remembers.
#pragma once

#include "palier/base/clock.h"
#include "palier/net/loop.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace palier::test {

constexpr std::uint64_t kPatienceMs = 10'000;

/// Turns the loop until `done()`; false when that takes too long.
template <typename Condition>
[[nodiscard]] bool run_until(net::Loop& loop, Condition done) {
    const std::uint64_t end = base::monotonic_ms() + kPatienceMs;
    while (!done()) {
        if (base::monotonic_ms() > end) return false;
        loop.run_once(20);
    }
    return true;
}

class Descriptor {
  public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { close(); }

    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

    /// Blocking, as the other end of what is tested.
    void send(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    [[nodiscard]] std::string receive() const {
        std::array<char, 65536> data;
        const ssize_t got = ::recv(fd_, data.data(), data.size(), 0);
        return got > 0 ? std::string(data.data(), static_cast<std::size_t>(got)) : std::string{};
    }

  private:
    int fd_;
};

/// A connected pair: the first end does not block, the second does.
[[nodiscard]] inline std::pair<Descriptor, Descriptor> socket_pair() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return std::pair<Descriptor, Descriptor>();
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

class RecordingWatcher final : public net::Watcher {
  public:
    void on_events(std::uint32_t ready) override {
        seen.push_back(ready);
        all |= ready;
    }

    std::vector<std::uint32_t> seen;
    std::uint32_t all = 0;
};

}  // namespace palier::test
