#include "palier/net/send_deadline.h"

#include "palier/net/socket.h"

#include <algorithm>
#include <limits>

namespace palier::net {
namespace {

constexpr std::uint32_t kLooks = 8;  // in a patience: how exactly progress is dated

}  // namespace

std::uint64_t SendDeadline::begin(std::uint64_t now_ms, std::uint64_t patience_ms) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();  // 49 days
    patience_ms_ = static_cast<std::uint32_t>(std::min(patience_ms, kMost));
    end_ms_ = now_ms + patience_ms_;
    unsent_ = 0;
    return next_look(now_ms);
}

std::uint64_t SendDeadline::look(const Socket& socket, std::uint64_t now_ms) {
    const std::uint32_t unsent = socket.unsent();
    if (unsent < unsent_) end_ms_ = now_ms + patience_ms_;
    unsent_ = unsent;
    return now_ms < end_ms_ ? next_look(now_ms) : kOver;
}

std::uint64_t SendDeadline::next_look(std::uint64_t now_ms) const {
    return std::min(now_ms + patience_ms_ / kLooks + 1, end_ms_);
}

}  // namespace palier::net
