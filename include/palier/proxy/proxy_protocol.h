// The PROXY protocol's header, versions 1 (text) and 2 (binary): the client's address as a balancer in front
// saw it. Thread: any; pure.
#pragma once

#include "palier/base/ip.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace palier::proxy {

struct ProxyHeader {
    enum class State : std::uint8_t {
        incomplete,  // more bytes are needed
        absent,      // the bytes begin something else
        complete,
        malformed,
    };

    State state = State::incomplete;
    std::size_t consumed = 0;                     // bytes of the header, when complete
    std::optional<base::SocketAddress> source{};  // none for LOCAL, UNKNOWN and families without a port
};

/// A version 1 line is at most 107 bytes; a version 2 header at most kMaxProxyHeader, TLVs included.
inline constexpr std::size_t kMaxProxyHeader = 2048;

[[nodiscard]] ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace palier::proxy
