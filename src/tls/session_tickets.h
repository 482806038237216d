// Session tickets of one listener: sealed and opened with shared keys, one for each connection.
// Thread: setting up control, callbacks any.
#pragma once

#include "palier/tls/ticket_keys.h"
#include "tls/openssl.h"

#include <memory>

namespace palier::tls {

class SessionTickets {
  public:
    /// Null when OpenSSL lacks an algorithm.
    [[nodiscard]] static std::unique_ptr<SessionTickets> make(std::shared_ptr<const TicketKeys> keys);

    /// From now on the context's connections use these; `clients`: their sessions carry client certificates.
    /// The object must outlive the context.
    void serve(SSL_CTX& context, bool clients) const;

  private:
    SessionTickets() = default;

    static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int sealing);
    [[nodiscard]] int seal(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX& cipher,
                           EVP_MAC_CTX& mac) const;
    [[nodiscard]] int open(const unsigned char* name, const unsigned char* iv, EVP_CIPHER_CTX& cipher,
                           EVP_MAC_CTX& mac) const;

    std::shared_ptr<const TicketKeys> keys_;
    CipherPtr cipher_;  // fetched once: OpenSSL 3 takes long for a look-up by name
};

}  // namespace palier::tls
