// Digests that a protocol demands. Thread: any.
#pragma once

#include <string>
#include <string_view>

namespace palier::tls {

/// What a server answers to a WebSocket client's key (RFC 6455 section 4.2.2, Sec-WebSocket-Accept).
[[nodiscard]] std::string websocket_accept(std::string_view key);

}  // namespace palier::tls
