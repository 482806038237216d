#include "palier/tls/self_signed.h"

#include "catch.h"

#include <memory>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace palier::tls {
namespace {

const std::vector<std::string> kLocal{"localhost", "127.0.0.1", "::1"};

/// What is in a PEM text, read again.
struct Parsed {
    explicit Parsed(const std::string& pem) {
        const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
            BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free_all);
        certificate.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
        key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
        REQUIRE(certificate);
        REQUIRE(key);
    }

    [[nodiscard]] std::string serial() const {
        const ASN1_INTEGER* number = X509_get0_serialNumber(certificate.get());
        const auto* bytes = ASN1_STRING_get0_data(number);
        return std::string(bytes, bytes + ASN1_STRING_length(number));
    }

    std::unique_ptr<X509, decltype(&X509_free)> certificate{nullptr, X509_free};
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{nullptr, EVP_PKEY_free};
};

TEST_CASE("a self-signed certificate is for its names and signed with the key beside it") {
    const Parsed made(self_signed_pem(kLocal).value());
    X509* certificate = made.certificate.get();
    CHECK(X509_check_private_key(certificate, made.key.get()) == 1);
    CHECK(X509_verify(certificate, made.key.get()) == 1);
    CHECK(EVP_PKEY_is_a(made.key.get(), "EC"));
    CHECK(EVP_PKEY_get_bits(made.key.get()) == 256);
    CHECK(X509_check_host(certificate, "localhost", 0, 0, nullptr) == 1);
    CHECK(X509_check_ip_asc(certificate, "127.0.0.1", 0) == 1);
    CHECK(X509_check_ip_asc(certificate, "::1", 0) == 1);
    CHECK(X509_check_host(certificate, "example.com", 0, 0, nullptr) == 0);
    CHECK(X509_check_ip_asc(certificate, "127.0.0.2", 0) == 0);
}

TEST_CASE("a self-signed certificate is a server's, for thirty days, and vouches for no other") {
    const Parsed made(self_signed_pem(kLocal).value());
    X509* certificate = made.certificate.get();
    CHECK(X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0) == 1);
    CHECK(X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 1) == 0);
    CHECK(X509_get_key_usage(certificate) == KU_DIGITAL_SIGNATURE);
    CHECK(X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0);
    int days = 0;
    int seconds = 0;
    REQUIRE(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate),
                           X509_get0_notAfter(certificate)) == 1);
    CHECK(days == 30);
    CHECK(seconds == 0);
}

TEST_CASE("no two self-signed certificates share a key or a serial number") {
    const Parsed one(self_signed_pem(kLocal).value());
    const Parsed other(self_signed_pem(kLocal).value());
    CHECK(EVP_PKEY_eq(one.key.get(), other.key.get()) == 0);
    CHECK(one.serial() != other.serial());
    CHECK(one.serial().size() <= 20);
}

TEST_CASE("a certificate that cannot be made is an error, and leaves none behind") {
    CHECK_FALSE(self_signed_pem({}));
    const std::vector<std::string> overlong{std::string(65, 'a')};  // of a common name, at most 64
    CHECK_FALSE(self_signed_pem(overlong));
    CHECK(ERR_peek_error() == 0);
}

}  // namespace
}  // namespace palier::tls
