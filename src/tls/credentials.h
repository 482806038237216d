// Credentials: a certificate, its chain and its key, ready for handshakes.
// Thread: immutable, any thread. Owner: whoever uses them; OpenSSL counts its own references.
#pragma once

#include "palier/tls/certificate_store.h"
#include "tls/certificate_outline.h"
#include "tls/certificate_scan.h"
#include "tls/openssl.h"

#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace palier::tls {

struct PemContents;

using ChainCertificate = std::shared_ptr<X509>;

/// A chain's certificates are mostly those of a few authorities: each is parsed and held once.
/// Thread: any.
class ChainPool {
  public:
    /// Null for what is no certificate.
    [[nodiscard]] ChainCertificate find_or_parse(const std::string& der);

  private:
    std::mutex mutex_;
    std::unordered_map<std::string, std::weak_ptr<X509>> known_;  // by DER; guarded by mutex_
    std::size_t sweep_at_ = 64;
};

struct Credentials {
    using StackPtr = std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)>;

    CertificatePtr certificate;
    KeyPtr key;
    std::vector<ChainCertificate> chain;                                   // from its issuer on
    StackPtr stack{nullptr, [](STACK_OF(X509) * s) { sk_X509_free(s); }};  // of the chain, not owning
    std::int64_t not_after = 0;
    std::string staple_problem;  // why the file beside it is not stapled; "" when it is, or there is none
};

struct CredentialFiles {
    std::string certificate;
    std::string key;     // may be the same file
    std::string staple;  // "" for none
};

using LoadedCredentials = std::expected<std::shared_ptr<const Credentials>, std::string>;

/// Reads and compares everything. Fails with words for people that need the certificate's file before them.
[[nodiscard]] LoadedCredentials load_credentials(const CredentialFiles& files, ChainPool& pool);

/// The outline of the certificate that a file is there for: the first that is not an authority's, else the
/// first. `index` becomes its place among the file's certificates.
[[nodiscard]] std::optional<CertificateOutline> outline_leaf(const PemContents& contents, std::size_t& index,
                                                             std::string& der);

}  // namespace palier::tls
