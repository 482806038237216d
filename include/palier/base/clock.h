// Time: monotonic for durations, and a wall clock whose texts are kept from one request to the next.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

namespace palier::base {

/// CLOCK_MONOTONIC, as libuv's loops count it. Thread: any.
[[nodiscard]] std::uint64_t monotonic_ms();
[[nodiscard]] std::uint64_t monotonic_us();

/// What to add to monotonic_ms() for milliseconds since 1970. Thread: any.
[[nodiscard]] std::int64_t wall_offset_ms();

/// The date and time, from the monotonic time that the loop knows anyway; follows a clock that is set within
/// a second. Views stay valid until the next call of the same function after an update(). Years 1970 to 9999.
/// Thread: worker only. Owner: the worker.
class WallClock {
  public:
    /// `offset_ms` is wall_offset_ms, or a test's.
    explicit WallClock(std::int64_t (*offset_ms)() = &wall_offset_ms) : offset_source_(offset_ms) {}

    /// Once a loop turn. Costs a comparison and a store; once a second also two clock readings.
    void update(std::uint64_t monotonic_ms) {
        if (monotonic_ms >= resync_at_) resync(monotonic_ms);
        now_ms_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(monotonic_ms) + offset_);
    }

    /// Milliseconds since 1970.
    [[nodiscard]] std::uint64_t unix_ms() const { return now_ms_; }

    /// "2026-11-20T23:25:01.123Z"
    [[nodiscard]] std::string_view iso8601();
    /// "Fri, 20 Nov 2026 23:25:01 GMT" (RFC 9110 section 5.6.7)
    [[nodiscard]] std::string_view http_date();
    /// "20/Nov/2026:23:25:01 +0000", as the common log format wants it
    [[nodiscard]] std::string_view clf();

  private:
    static constexpr std::uint64_t kUnset = std::numeric_limits<std::uint64_t>::max();

    void resync(std::uint64_t monotonic_ms);

    std::int64_t (*offset_source_)();
    std::int64_t offset_ = 0;
    std::uint64_t resync_at_ = 0;
    std::uint64_t now_ms_ = 0;

    std::uint64_t iso_ms_ = kUnset;  // when each text was made
    std::uint64_t iso_second_ = kUnset;
    std::uint64_t http_second_ = kUnset;
    std::uint64_t clf_second_ = kUnset;
    std::array<char, 24> iso_{};
    std::array<char, 29> http_{};
    std::array<char, 26> clf_{};
};

}  // namespace palier::base
