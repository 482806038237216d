// What a client of HTTP/2 may make us do beside its requests: counted, and set against the traffic that
// explains it (CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671).
// Thread: worker only. Owner: the session. No state is shared.
#pragma once

#include "palier/http/h2_session.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace palier::http {

/// Counters that lose half of their value every kH2FloodWindow, so that an honest client of long standing
/// does not add up to a flood and there is no seam between windows to hide in.
class H2Counters {
  public:
    /// To be called before what arrives at `now_ms` is counted.
    void at(std::uint64_t now_ms) {
        if (now_ms >= next_) decay(now_ms);
    }

    // What costs us something and may be a flood.
    void reset_received() { count(H2Flood::resets, 1); }
    /// A stream that we reset because of what the client sent.
    void reset_forced() { count(H2Flood::forced_resets, kRefusedPerForced); }
    /// A stream that came when there were enough.
    void refused() { count(H2Flood::forced_resets, 1); }
    void settings() { count(H2Flood::settings, 1); }
    void ping() { count(H2Flood::pings, 1); }
    void empty_frame() { count(H2Flood::empty_frames, 1); }
    void priority() { count(H2Flood::priorities, 1); }
    void window_update() { count(H2Flood::window_updates, 1); }
    /// Something that needs no counting: `flood` is the verdict unless there is one.
    void give_up(H2Flood flood) {
        if (flood_ == H2Flood::none) flood_ = flood;
    }

    // What explains it.
    void request() { ++requests_; }
    void finished() { ++finished_; }
    void data_frame() { ++data_frames_; }
    void sent(std::size_t bytes) { sent_ += bytes; }

    [[nodiscard]] H2Flood flood() const { return flood_; }

  private:
    static constexpr std::uint32_t kRefusedPerForced = 8;

    void count(H2Flood kind, std::uint32_t weight) {
        const auto index = static_cast<std::size_t>(kind);
        counts_[index] += weight;
        if (counts_[index] > kFree[index]) judge(kind);
    }
    void judge(H2Flood kind);
    void decay(std::uint64_t now_ms);
    [[nodiscard]] std::uint64_t allowance(H2Flood kind) const;

    /// What is free of any judgement in a window, by H2Flood.
    static constexpr std::array<std::uint32_t, kH2Floods> kFree{
        0,
        200,                      // resets: a page full of pictures that is left again and again
        100 * kRefusedPerForced,  // forced_resets: 100, or 800 refused streams before our SETTINGS arrived
        0,                        // continuations are given up at once
        50,                       // settings
        200,                      // pings
        100,                      // empty_frames
        300,                      // priorities: old clients build a tree of them before anything else
        1000,                     // window_updates
        0,                        // queue
    };

    std::array<std::uint32_t, kH2Floods> counts_{};
    std::uint32_t requests_ = 0;
    std::uint32_t finished_ = 0;     // streams that ended well
    std::uint32_t data_frames_ = 0;  // in both directions, with something in them
    std::uint64_t sent_ = 0;         // bytes of DATA
    std::uint64_t next_ = 0;
    H2Flood flood_ = H2Flood::none;
};

inline constexpr std::uint64_t kH2FloodWindow = 10'000;  // milliseconds

/// CONTINUATION frames of one block, besides those that a head of the largest size needs.
inline constexpr std::size_t kH2Continuations = 8;

/// Frames that wait to be sent, beside the streams' own; an honest client reads.
inline constexpr std::size_t kH2Queued = 1000;

}  // namespace palier::http
