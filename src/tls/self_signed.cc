#include "palier/tls/self_signed.h"

#include "palier/base/ip.h"
#include "tls/openssl_error.h"

#include <memory>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace palier::tls {
namespace {

constexpr long kDays = 30;
constexpr long kSecondsPerDay = 86'400;
constexpr int kSerialBits = 159;  // positive, and within the 20 octets of RFC 5280 section 4.1.2.2

template <auto Free>
struct Freed {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Freed<Free>>;

using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Names = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;

bool set_serial(X509* certificate) {
    const Owned<BIGNUM, BN_free> number(BN_new());
    return number && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

/// Subject and issuer are the same: `name`.
bool set_names(X509* certificate, const std::string& name) {
    X509_NAME* subject = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(name.data()),
                                      static_cast<int>(name.size()), -1, 0) == 1 &&
           X509_set_issuer_name(certificate, subject) == 1;
}

using Entry = Owned<GENERAL_NAME, GENERAL_NAME_free>;

bool set_address(GENERAL_NAME* entry, const std::string& address) {
    ASN1_OCTET_STRING* bytes = a2i_IPADDRESS(address.c_str());
    if (bytes != nullptr) GENERAL_NAME_set0_value(entry, GEN_IPADD, bytes);
    return bytes != nullptr;
}

bool set_host_name(GENERAL_NAME* entry, const std::string& name) {
    Owned<ASN1_IA5STRING, ASN1_IA5STRING_free> text(ASN1_IA5STRING_new());
    if (!text || ASN1_STRING_set(text.get(), name.data(), static_cast<int>(name.size())) != 1) return false;
    GENERAL_NAME_set0_value(entry, GEN_DNS, text.release());
    return true;
}

bool add_subject_alternative(GENERAL_NAMES* names, const std::string& name) {
    Entry entry(GENERAL_NAME_new());
    if (!entry) return false;
    const bool named =
        base::IpAddress::parse(name) ? set_address(entry.get(), name) : set_host_name(entry.get(), name);
    if (!named || sk_GENERAL_NAME_push(names, entry.get()) <= 0) return false;
    static_cast<void>(entry.release());
    return true;
}

bool add_subject_alternatives(X509* certificate, std::span<const std::string> names) {
    const Names all(GENERAL_NAMES_new());
    if (!all) return false;
    for (const std::string& name : names) {
        if (!add_subject_alternative(all.get(), name)) return false;
    }
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bool add_extension(X509* certificate, int id, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, &context, id, value));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Certificate make_certificate(EVP_PKEY* key, std::span<const std::string> names) {
    Certificate made(X509_new());
    X509* certificate = made.get();
    const bool complete =
        certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        set_serial(certificate) && X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != nullptr &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), kDays * kSecondsPerDay) != nullptr &&
        set_names(certificate, names.front()) && X509_set_pubkey(certificate, key) == 1 &&
        add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
        add_extension(certificate, NID_subject_key_identifier, "hash") &&
        add_subject_alternatives(certificate, names) && X509_sign(certificate, key, EVP_sha256()) > 0;
    if (!complete) made.reset();
    return made;
}

}  // namespace

base::Result<std::string> self_signed_pem(std::span<const std::string> dns_names_and_ips) {
    if (dns_names_and_ips.empty()) return base::failure("a certificate needs a name");
    const auto failed = [] {
        return base::failure(fmt::format("no certificate could be made: {}", take_openssl_error()));
    };
    const Key key(EVP_EC_gen("P-256"));
    if (!key) return failed();
    const Certificate certificate = make_certificate(key.get(), dns_names_and_ips);
    const Owned<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
    if (!certificate || !out || PEM_write_bio_X509(out.get(), certificate.get()) != 1 ||
        PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        return failed();
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace palier::tls
