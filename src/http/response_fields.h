// Which of a backend's response fields go on to a client, whatever its version of HTTP.
// Thread: any; pure.
#pragma once

#include "palier/http/message.h"

namespace palier::http {

/// Fields of the backend's connection, which end here besides those that its Connection field names
/// (RFC 9110 section 7.6.1). Upgrade is not among them: it is for the writer to say when it passes.
[[nodiscard]] constexpr bool is_hop_by_hop(Name known) {
    switch (known) {
        case Name::connection:
        case Name::keep_alive:
        case Name::proxy_connection:
        case Name::te:
        case Name::trailer:
        case Name::transfer_encoding:
            return true;
        default:
            return false;
    }
}

/// Whether the backend's own Content-Length tells the client something true: the length of the body that a
/// HEAD or a 304 leaves out (RFC 9110 section 8.6).
[[nodiscard]] inline bool keeps_length(const ResponseHead& head, bool head_request) {
    return head.status == 304 || (head_request && head.status >= 200 && head.status != 204);
}

}  // namespace palier::http
