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

/// The TOML text of a proxy on 127.0.0.1:`port` with these fronts in one pool.
[[nodiscard]] std::string config_text(std::uint16_t port, std::span<const FrontAddress> fronts);

/// The text to print once the proxy listens. `program`: how palier was called, for commands to copy.
[[nodiscard]] std::string what_to_try(std::string_view program, std::uint16_t port,
                                      std::span<const FrontAddress> fronts);

}  // namespace palier::demo
