// Staple: an OCSP response for one certificate, read from a file, that goes into handshakes while it is
// fresh. Thread: immutable but for one flag, any thread. Owner: the certificate that it is about (see
// attach_staple). Ends: with it.
#pragma once

#include "tls/openssl.h"

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace palier::tls {

class Staple {
  public:
    /// `issuer` may be null: then only its name is compared. Fails with words for people for what is no good
    /// response, or is about another certificate.
    [[nodiscard]] static std::expected<std::unique_ptr<Staple>, std::string> read(std::string_view der,
                                                                                  X509& certificate,
                                                                                  X509* issuer,
                                                                                  std::string file);

    [[nodiscard]] bool fresh(std::int64_t now) const;
    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] const std::string& file() const { return file_; }
    [[nodiscard]] std::int64_t next_update() const { return next_update_; }
    /// True for the first caller only.
    [[nodiscard]] bool first_complaint() const { return !complained_.exchange(true); }

  private:
    std::string bytes_;
    std::string file_;
    std::int64_t this_update_ = 0;
    std::int64_t next_update_ = 0;
    mutable std::atomic<bool> complained_{false};
};

/// Makes it the certificate's, which frees it. Before other threads see the certificate.
[[nodiscard]] bool attach_staple(X509& certificate, std::unique_ptr<Staple> staple);

/// Gives clients that ask the fresh staple of the certificate that was chosen for them.
void offer_staples(SSL_CTX& context);

}  // namespace palier::tls
