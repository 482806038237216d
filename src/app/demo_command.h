// palier demo: three embedded fronts and a proxy before them, configured by TOML text like any other.
// Thread: the main one; the fronts have one of their own.
#pragma once

#include <cstdint>

namespace palier::app {

struct DemoOptions {
    std::uint16_t port = 8080;      // of the proxy, on 127.0.0.1
    std::uint16_t tls_port = 8443;  // the same over TLS; 0: any free one
    bool print_config = false;      // print the configuration instead of serving
};

/// Serves until a signal; returns the exit code.
[[nodiscard]] int demo_command(const DemoOptions& options);

}  // namespace palier::app
