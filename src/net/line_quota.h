// LineQuota: how much of a child's output is told on: 1,000 lines and 256 KiB in a second. What is beyond is counted.
// Thread: the loop's. Owner: a Process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace palier::net {

class LineQuota {
  public:
    /// Whether a line of `size` bytes is told.
    [[nodiscard]] bool admits(std::size_t size, std::uint64_t now_ms) {
        if (now_ms - second_from_ms_ >= kSecondMs) {
            second_from_ms_ = now_ms;
            lines_ = 0;
            bytes_ = 0;
        }
        if (lines_ >= kMostLines || bytes_ + size > kMostBytes) {
            ++dropped_;
            return false;
        }
        ++lines_;
        bytes_ += size;
        return true;
    }
    /// Lines that were not, since this was asked last.
    [[nodiscard]] std::uint64_t take_dropped() { return std::exchange(dropped_, 0); }

  private:
    static constexpr std::uint64_t kSecondMs = 1'000;
    static constexpr std::uint64_t kMostLines = 1'000;
    static constexpr std::size_t kMostBytes = 256 * 1024;

    std::uint64_t second_from_ms_ = 0;
    std::uint64_t lines_ = 0;  // in this second
    std::size_t bytes_ = 0;
    std::uint64_t dropped_ = 0;
};

}  // namespace palier::net
