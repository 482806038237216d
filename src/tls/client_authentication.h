// Client certificates of a listener: who may sign them, and whether they must be shown.
// Thread: control.
#pragma once

#include "palier/base/result.h"
#include "palier/config/config.h"
#include "tls/openssl.h"

#include <string>

namespace palier::tls {

/// Verifies clients as `config` says, failing closed: a certificate that is shown and is not good ends the
/// handshake, also where none is required. Gives what sessions must be bound to, so that none that was made
/// under other rules resumes; "" when clients are not asked. Fails with a sentence that begins with the key.
[[nodiscard]] base::Result<std::string> apply_client_authentication(SSL_CTX& context,
                                                                    const config::ListenerTlsConfig& config);

}  // namespace palier::tls
