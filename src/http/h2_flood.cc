#include "http/h2_flood.h"

#include <algorithm>

namespace palier::http {

std::string_view text_of(H2Flood flood) {
    switch (flood) {
        case H2Flood::none:
            return "none";
        case H2Flood::resets:
            return "streams reset by the client";
        case H2Flood::forced_resets:
            return "streams that the client made us reset";
        case H2Flood::continuations:
            return "CONTINUATION frames or header fields";
        case H2Flood::settings:
            return "SETTINGS frames";
        case H2Flood::pings:
            return "PING frames";
        case H2Flood::empty_frames:
            return "frames without content";
        case H2Flood::priorities:
            return "PRIORITY frames";
        case H2Flood::window_updates:
            return "WINDOW_UPDATE frames";
        case H2Flood::queue:
            return "answers that the client does not read";
    }
    return "unknown";
}

/// What traffic explains: each kind grows with something that the client cannot have for less than the frames
/// themselves would cost it.
std::uint64_t H2Counters::allowance(H2Flood kind) const {
    const std::uint64_t free = kFree[static_cast<std::size_t>(kind)];
    switch (kind) {
        case H2Flood::resets:
            return free + finished_;
        case H2Flood::pings:  // clients that measure bandwidth send one for each piece of data
            return free + finished_ + data_frames_;
        case H2Flood::priorities:
            return free + 8 * std::uint64_t{requests_};
        case H2Flood::window_updates:  // the simplest clients send two for each DATA frame
            return free + 4 * std::uint64_t{finished_} + sent_ / 512;
        default:
            return free;
    }
}

void H2Counters::judge(H2Flood kind) {
    if (counts_[static_cast<std::size_t>(kind)] > allowance(kind)) give_up(kind);
}

void H2Counters::decay(std::uint64_t now_ms) {
    const std::uint64_t windows = next_ == 0 ? 0 : 1 + (now_ms - next_) / kH2FloodWindow;
    const auto shift = static_cast<unsigned>(std::min<std::uint64_t>(windows, 31));
    for (std::uint32_t& count : counts_)
        count >>= shift;
    requests_ >>= shift;
    finished_ >>= shift;
    data_frames_ >>= shift;
    sent_ >>= shift;
    next_ = now_ms + kH2FloodWindow;
}

}  // namespace palier::http
