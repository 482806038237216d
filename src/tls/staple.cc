#include "tls/staple.h"

#include "palier/base/log.h"

#include <ctime>

#include <openssl/crypto.h>
#include <openssl/err.h>

namespace palier::tls {
namespace {

constexpr std::int64_t kClockSkewS = 300;

using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, Freed<&OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, Freed<&OCSP_BASICRESP_free>>;
using CertificateIdPtr = std::unique_ptr<OCSP_CERTID, Freed<&OCSP_CERTID_free>>;

/// Whether `digest_of_name` is that of the certificate's issuer's name.
bool same_issuer_name(const X509& certificate, const EVP_MD& digest,
                      const ASN1_OCTET_STRING& digest_of_name) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_NAME_digest(X509_get_issuer_name(&certificate), &digest, bytes, &size) != 1) return false;
    const std::string_view ours(reinterpret_cast<const char*>(bytes), size);
    const std::string_view theirs(reinterpret_cast<const char*>(ASN1_STRING_get0_data(&digest_of_name)),
                                  static_cast<std::size_t>(ASN1_STRING_length(&digest_of_name)));
    return ours == theirs;
}

bool is_about(OCSP_SINGLERESP& response, const X509& certificate, const X509* issuer) {
    auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(&response));
    ASN1_OCTET_STRING* name = nullptr;
    ASN1_OBJECT* algorithm = nullptr;
    ASN1_OCTET_STRING* key = nullptr;
    ASN1_INTEGER* serial = nullptr;
    if (OCSP_id_get0_info(&name, &algorithm, &key, &serial, id) != 1) return false;
    if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(&certificate)) != 0) return false;
    const EVP_MD* digest = EVP_get_digestbyobj(algorithm);
    if (digest == nullptr || !same_issuer_name(certificate, *digest, *name)) return false;
    if (issuer == nullptr) return true;
    const CertificateIdPtr expected(OCSP_cert_to_id(digest, &certificate, issuer));
    return expected != nullptr && OCSP_id_cmp(expected.get(), id) == 0;
}

/// The part of the response that is about this certificate.
OCSP_SINGLERESP* find(OCSP_BASICRESP& basic, const X509& certificate, const X509* issuer) {
    for (int i = 0; i < OCSP_resp_count(&basic); ++i) {
        OCSP_SINGLERESP* response = OCSP_resp_get0(&basic, i);
        if (response != nullptr && is_about(*response, certificate, issuer)) return response;
    }
    return nullptr;
}

void free_staple(void* /*certificate*/, void* staple, CRYPTO_EX_DATA* /*data*/, int /*index*/,
                 long /*number*/, void* /*argument*/) {
    delete static_cast<Staple*>(staple);
}

/// A copied certificate has no staple: there is one owner.
int drop_staple(CRYPTO_EX_DATA* /*to*/, const CRYPTO_EX_DATA* /*from*/, void** staple, int /*index*/,
                long /*number*/, void* /*argument*/) {
    *staple = nullptr;
    return 1;
}

int staple_index() {
    static const int index = X509_get_ex_new_index(0, nullptr, nullptr, &drop_staple, &free_staple);
    return index;
}

int on_status_request(SSL* ssl, void* /*argument*/) {
    const X509* certificate = SSL_get_certificate(ssl);
    if (certificate == nullptr) return SSL_TLSEXT_ERR_NOACK;
    const auto* staple = static_cast<const Staple*>(X509_get_ex_data(certificate, staple_index()));
    if (staple == nullptr) return SSL_TLSEXT_ERR_NOACK;
    if (!staple->fresh(std::time(nullptr))) {
        if (staple->first_complaint())
            base::log_warning("{}: it is not fresh, so no OCSP response is stapled", staple->file());
        return SSL_TLSEXT_ERR_NOACK;
    }
    void* copy = OPENSSL_memdup(staple->bytes().data(), staple->bytes().size());
    if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<int>(staple->bytes().size()));
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

std::expected<std::unique_ptr<Staple>, std::string> Staple::read(std::string_view der, X509& certificate,
                                                                 X509* issuer, std::string file) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(der.size())));
    if (response == nullptr) {
        ERR_clear_error();
        return std::unexpected("it is no OCSP response in DER");
    }
    if (const int status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return std::unexpected(std::string("it says ") + OCSP_response_status_str(status));
    const BasicPtr basic(OCSP_response_get1_basic(response.get()));
    OCSP_SINGLERESP* single = basic == nullptr ? nullptr : find(*basic, certificate, issuer);
    ERR_clear_error();
    if (single == nullptr) return std::unexpected("it is about another certificate");
    ASN1_GENERALIZEDTIME* this_update = nullptr;
    ASN1_GENERALIZEDTIME* next_update = nullptr;
    int reason = 0;
    const int status = OCSP_single_get0_status(single, &reason, nullptr, &this_update, &next_update);
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return std::unexpected(std::string("it says that the certificate is ") +
                               OCSP_cert_status_str(status));
    if (next_update == nullptr) return std::unexpected("it does not say until when it holds");
    auto staple = std::make_unique<Staple>();
    staple->bytes_ = der;
    staple->file_ = std::move(file);
    staple->this_update_ = to_unix(this_update);
    staple->next_update_ = to_unix(next_update);
    return staple;
}

bool Staple::fresh(std::int64_t now) const {
    return this_update_ <= now + kClockSkewS && now < next_update_;
}

bool attach_staple(X509& certificate, std::unique_ptr<Staple> staple) {
    if (X509_set_ex_data(&certificate, staple_index(), staple.get()) != 1) return false;
    static_cast<void>(staple.release());
    return true;
}

void offer_staples(SSL_CTX& context) {
    SSL_CTX_set_tlsext_status_cb(&context, &on_status_request);
}

}  // namespace palier::tls
