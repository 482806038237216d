// ServerContext: what all TLS connections of one listener share: versions, ciphers, ALPN, the certificate
// store, ticket keys and client authentication.
//
// Thread: make() and the stores behind it control; start() any. Owner: shared by the listener's workers.
// Ends: with the last of them; connections under way go on.
#pragma once

#include "palier/base/result.h"
#include "palier/config/config.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

struct ssl_st;
struct ssl_ctx_st;

namespace palier::tls {

class CertificateStore;
class TicketKeys;

class ServerContext {
  public:
    /// `listener`: its name, part of the session id context. Fails with a sentence that names the key or file
    /// at fault.
    [[nodiscard]] static base::Result<std::shared_ptr<const ServerContext>> make(
        const config::ListenerTlsConfig& config, const std::string& listener,
        std::shared_ptr<const CertificateStore> store, std::shared_ptr<const TicketKeys> tickets);
    ~ServerContext();
    ServerContext(const ServerContext&) = delete;
    ServerContext& operator=(const ServerContext&) = delete;

    /// A server's side of one connection; null without memory. The caller frees it with SSL_free().
    [[nodiscard]] ssl_st* start() const;
    /// The file of client_ca is still the one that it read.
    [[nodiscard]] bool up_to_date() const;

  private:
    ServerContext(ssl_ctx_st* context, std::string client_ca, std::uint64_t mark)
        : context_(context), client_ca_(std::move(client_ca)), client_ca_mark_(mark) {}

    ssl_ctx_st* context_;  // owns what its callbacks need; connections under way keep it alive
    std::string client_ca_;
    std::uint64_t client_ca_mark_;  // of that file, as tls/file_bytes.h has it
};

}  // namespace palier::tls
