// The channel between the two sides of a take-over: a pair of SOCK_SEQPACKET sockets, so that each message is one packet:
// {"step": "ready"}, with what else there is to say. A text is in a file in memory that comes with the packet, because it
// may be long. Without a channel, or after its end, there is nothing to read.
// Thread: control only.
#pragma once

#include "palier/base/result.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace palier::control {

struct ChannelMessage {
    std::string step = {};
    std::string error = {};
    std::uint64_t number = 0;  // of an order and of its acknowledgement
    std::string text = {};
};

/// Both ends, non-blocking. The caller closes them.
[[nodiscard]] base::Result<std::array<int, 2>> open_channel();

/// False when the other end does not read any more.
[[nodiscard]] bool tell(int channel, const ChannelMessage& message);

struct Heard {
    std::optional<ChannelMessage> message;
    bool ended = false;  // otherwise, without a message: nothing for now
};
/// What is there; a message that makes no sense is one without a step.
[[nodiscard]] Heard hear(int channel);

}  // namespace palier::control
