// What is wrong with the certificates and keys that a configuration names: for `palier check`, which looks at
// every key.
// Thread: any. Values.
#pragma once

#include "palier/config/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace palier::tls {

class CertificateStore;

enum class Severity : std::uint8_t { warning, error };

struct Finding {
    Severity severity = Severity::warning;
    std::string message;  // begins with the file or the listener that it is about
};

/// Errors are what keeps a listener from starting; all else that somebody should look at is a warning,
/// certificates that expire within 14 days among it.
[[nodiscard]] std::vector<Finding> check(const config::Config& config);

/// "listener https: none of …", for a listener whose sources hold nothing to serve.
[[nodiscard]] std::string nothing_usable(const config::ListenerConfig& listener);
/// "listener https: there is no certificate for …"; "" when its default name has one, or it has none.
[[nodiscard]] std::string missing_default(const config::ListenerConfig& listener,
                                          const CertificateStore& store);

}  // namespace palier::tls
