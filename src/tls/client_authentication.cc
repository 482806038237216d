#include "tls/client_authentication.h"

#include "tls/file_bytes.h"
#include "tls/pem.h"

#include <fmt/format.h>
#include <openssl/err.h>

namespace palier::tls {
namespace {

constexpr int kDeepestChain = 9;

/// Trusts the certificate, and names it to clients so that they know which of theirs to show.
bool trust(SSL_CTX& context, const std::string& der) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    const CertificatePtr authority(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
    return authority != nullptr &&
           X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), authority.get()) == 1 &&
           SSL_CTX_add_client_CA(&context, authority.get()) == 1;
}

}  // namespace

base::Result<std::string> apply_client_authentication(SSL_CTX& context,
                                                      const config::ListenerTlsConfig& config) {
    if (config.client_auth == config::ClientAuth::off) return std::string{};
    if (config.client_ca.empty())
        return base::failure("client_auth: there is no client_ca to verify clients with");
    const auto fail = [&](std::string_view reason) {
        return base::failure(fmt::format("client_ca: {}: {}", config.client_ca, reason));
    };
    const auto bytes = FileBytes::read(config.client_ca);
    if (!bytes) return fail(bytes.error());
    const auto contents = read_pem(bytes->view());
    if (!contents) return fail(contents.error());
    if (contents->certificates.empty()) return fail("there is no certificate in it");

    const bool required = config.client_auth == config::ClientAuth::required;
    std::string binding = required ? "required" : "optional";
    for (const std::string_view body : contents->certificates) {
        std::string der;
        if (!decode_base64(body, der) || !trust(context, der)) {
            ERR_clear_error();
            return fail("a certificate in it is damaged");
        }
        binding += der;
    }
    // What the file names is trusted by itself, also an intermediate authority without its root.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(&context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify_depth(&context, kDeepestChain);
    SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    return binding;
}

}  // namespace palier::tls
