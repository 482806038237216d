// Owners for OpenSSL's objects, and its times as numbers.
// Thread: values, any thread.
#pragma once

#include <cstdint>
#include <memory>

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace palier::tls {

/// Calls the library's own function for freeing.
template <auto Free>
struct Freed {
    template <typename Object>
    void operator()(Object* object) const {
        Free(object);
    }
};

using CertificatePtr = std::unique_ptr<X509, Freed<&X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<&EVP_PKEY_free>>;
using SslPtr = std::unique_ptr<SSL, Freed<&SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Freed<&SSL_CTX_free>>;
using DigestPtr = std::unique_ptr<EVP_MD, Freed<&EVP_MD_free>>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, Freed<&EVP_CIPHER_free>>;

/// A certificate's time as seconds since 1970; the least value when it has none.
[[nodiscard]] std::int64_t to_unix(const ASN1_TIME* time);

}  // namespace palier::tls
