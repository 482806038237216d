// The channel between the two sides of a take-over: a pair of SOCK_SEQPACKET sockets, so that each message is one packet:
// {"step": "ready"}, with "error" where there is one. Without a channel, or after its end, there is nothing to read.
// Thread: control only.
#pragma once

#include "palier/base/result.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace palier::control {

struct ChannelMessage {
    std::string step;
    std::string error;
};

/// Both ends, non-blocking. The caller closes them.
[[nodiscard]] base::Result<std::array<int, 2>> open_channel();

/// False when the other end does not read any more.
[[nodiscard]] bool tell(int channel, std::string_view step, std::string_view error = {});

struct Heard {
    std::optional<ChannelMessage> message;
    bool ended = false;  // otherwise, without a message: nothing for now
};
/// What is there; a message that makes no sense is one without a step.
[[nodiscard]] Heard hear(int channel);

}  // namespace palier::control
