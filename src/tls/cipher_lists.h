// Which versions, ciphers and groups a server speaks: palier's choice, or the configuration's, checked name
// by name, because OpenSSL ignores what it does not know. Thread: control.
#pragma once

#include "palier/base/result.h"
#include "palier/config/config.h"
#include "tls/openssl.h"

namespace palier::tls {

/// Fails with a sentence that begins with the key at fault.
[[nodiscard]] base::Result<void> apply_cipher_lists(SSL_CTX& context,
                                                    const config::ListenerTlsConfig& config);

}  // namespace palier::tls
