// A request's head out of its HTTP/2 header block (RFC 9113 section 8.3, RFC 8441).
// Thread: worker only; no state between calls.
#pragma once

#include "http/h2_block.h"
#include "palier/http/message.h"

#include <cstdint>

namespace palier::http {

struct H2HeadResult {
    enum class State : std::uint8_t {
        good,
        refused,    // to be answered
        malformed,  // a stream error (section 8.1.1)
    };
    State state = State::good;
    Refusal refusal{};
};

/// Fills `head` with views into the block's lines. What nghttp2 has not checked is checked here: target,
/// scheme, authority and host, expectations, lengths. What it has, is where that costs nothing.
[[nodiscard]] H2HeadResult read_h2_head(const H2Block& block, RequestHead& head);

}  // namespace palier::http
