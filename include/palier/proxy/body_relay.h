// Body bytes from one message's framing into the other's, in place.
// Thread: worker only; pure.
#pragma once

#include "palier/base/buffer.h"
#include "palier/http/body.h"
#include "palier/http/message.h"

#include <cstddef>

namespace palier::proxy {

struct RelayedBody {
    char* begin = nullptr;  // what is to be sent now, [begin, end)
    char* end = nullptr;
    std::size_t consumed = 0;  // bytes of the input that belonged to the body
    bool ended = false;        // the body is complete; a chunked one still needs append_last_chunk()
    bool broken = false;       // the framing is wrong; nothing is to be sent
};

/// Takes [begin, end) through `reader` and leaves its payload, framed as `framing`, between the same places.
/// Up to 20 bytes before `begin` and 2 behind `end` are overwritten.
[[nodiscard]] RelayedBody relay_body(http::BodyReader& reader, char* begin, char* end, http::Framing framing);

/// "0", the trailer lines and the empty line.
void append_last_chunk(base::Buffer& out, std::string_view trailers);

/// Room that append_last_chunk() needs.
[[nodiscard]] std::size_t last_chunk_size(std::string_view trailers);
/// The same, written at `out`; returns its end.
char* write_last_chunk(char* out, std::string_view trailers);

}  // namespace palier::proxy
