// SendDeadline: when to give up a peer that takes nothing of what was sent to it.
//
// A socket calls itself writable only once a third of its buffer is free. With megabytes in it, that takes a
// slow reader longer than any patience, though it reads all the time. So a few looks are taken on the way at
// how much the peer's kernel has not acknowledged yet: progress is that this has become less. A peer that
// took nothing is given up when its patience is over, not later; one that did, a patience after the look that
// found it out.
//
// It has no timer of its own, and asks the kernel only in look(), which is for a timer's callback.
//
// Thread: that of its socket's loop. Owner: a connection. Ends: with it.
#pragma once

#include <cstdint>

namespace palier::net {

class Socket;

class SendDeadline {
  public:
    /// The peer was just sent something, or is waited for anew; tells when to look. Durations and times are
    /// milliseconds.
    std::uint64_t begin(std::uint64_t now_ms, std::uint64_t patience_ms);

    static constexpr std::uint64_t kOver = 0;
    /// When to look again, or kOver.
    [[nodiscard]] std::uint64_t look(const Socket& socket, std::uint64_t now_ms);

  private:
    [[nodiscard]] std::uint64_t next_look(std::uint64_t now_ms) const;

    std::uint64_t end_ms_ = 0;
    std::uint32_t patience_ms_ = 0;
    std::uint32_t unsent_ = 0;  // bytes at the last look; 0 also before the first
};

}  // namespace palier::net
