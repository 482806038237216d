// What `palier demo` says: the configuration of its proxy, and what a newcomer may try with it.
// Thread: any; pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace palier::demo {

struct FrontAddress {
    std::string name;
    std::uint16_t port = 0;  // on 127.0.0.1
    unsigned weight = 1;
};

/// Where the demo's proxy listens, on 127.0.0.1.
struct ProxyPorts {
    std::uint16_t http = 0;
    std::uint16_t https = 0;
};

/// The TOML text of a proxy with these fronts in one pool. `certificate` is the path of its PEM file; without
/// one the https listener is a comment that says how to get there.
[[nodiscard]] std::string config_text(const ProxyPorts& ports, std::span<const FrontAddress> fronts,
                                      std::string_view certificate);

/// The text to print once the proxy listens. `program`: how palier was called, for commands to copy.
[[nodiscard]] std::string what_to_try(std::string_view program, const ProxyPorts& ports,
                                      std::span<const FrontAddress> fronts, std::string_view control_socket);

}  // namespace palier::demo
