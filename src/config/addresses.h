// Addresses and host names as configurations write them.
// Thread: any; pure. Errors are whole sentences.
#pragma once

#include "palier/base/ip.h"
#include "palier/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace palier::config {

struct HostAndPort {
    std::string host;  // an IP address without brackets, or a host name
    std::uint16_t port = 0;
};

/// "0.0.0.0:443", "[::]:443". Port 0: any free one.
[[nodiscard]] base::Result<base::SocketAddress> parse_listener_address(std::string_view text);

/// "10.0.0.11:8080", "[::1]:80", "front.internal:8080".
[[nodiscard]] base::Result<HostAndPort> parse_server_address(std::string_view text);

/// "www.example.com", "192.0.2.1", "2001:db8::1": what a certificate is for; returned in lower case.
[[nodiscard]] base::Result<std::string> parse_certificate_name(std::string_view text);

/// "www.example.com", "*.example.com", "192.0.2.1", "[2001:db8::1]"; returned in lower case.
[[nodiscard]] base::Result<std::string> parse_host_pattern(std::string_view text);

}  // namespace palier::config
