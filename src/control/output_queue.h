// OutputQueue: what a client has not taken yet: bytes, and descriptors that travel with some of them.
// Thread: control. Owner: a ControlConnection.
#pragma once

#include "palier/base/buffer.h"
#include "palier/net/socket.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

namespace palier::control {

/// Descriptors that are closed with their owner.
class OwnedDescriptors {
  public:
    OwnedDescriptors() = default;
    ~OwnedDescriptors() { close(); }
    OwnedDescriptors(OwnedDescriptors&& other) noexcept : descriptors_(std::move(other.descriptors_)) {}
    OwnedDescriptors& operator=(OwnedDescriptors&& other) noexcept {
        descriptors_.swap(other.descriptors_);
        return *this;
    }

    /// Keeps a copy of `descriptor`; false with errno where there can be none.
    [[nodiscard]] bool add_copy(int descriptor);
    [[nodiscard]] const std::vector<int>& get() const { return descriptors_; }
    [[nodiscard]] bool empty() const { return descriptors_.empty(); }
    /// The first `count` of them, at most, no longer in here.
    [[nodiscard]] OwnedDescriptors take(std::size_t count);
    void close();

  private:
    std::vector<int> descriptors_;
};

class OutputQueue {
  public:
    [[nodiscard]] bool empty() const { return bytes_.empty(); }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }

    /// `descriptors` go with the first bytes of `line`, in portions that the kernel takes, each with a byte of its own.
    void add(std::string_view line, OwnedDescriptors descriptors);

    /// Writes as much as the socket takes; adds to `written`. would_block: there is more, and an event will tell.
    [[nodiscard]] net::IoStatus write_to(net::Socket& socket, std::size_t& written);
    void clear();

  private:
    struct Passing {
        std::uint64_t at = 0;  // the byte that they go with, counted from the first ever
        OwnedDescriptors descriptors;
    };

    base::Buffer bytes_;
    std::deque<Passing> passing_;  // in their order
    std::uint64_t written_ = 0;
};

}  // namespace palier::control
