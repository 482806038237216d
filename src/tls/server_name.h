// The server name that a client asks for (RFC 6066 section 3), out of its client hello.
// Thread: values, any thread.
#pragma once

#include <optional>
#include <string_view>

namespace palier::tls {

/// The host name in the content of a server_name extension, as the client wrote it; empty when the list has
/// none of that kind; nothing when the extension is malformed or names two.
[[nodiscard]] std::optional<std::string_view> read_server_name(std::string_view extension);

}  // namespace palier::tls
