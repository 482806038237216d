// Certificates for tests: an authority that signs whatever it is asked to, and a folder to put it in.
#pragma once

#include "catch.h"
#include "tls/openssl.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

namespace palier::tls {

constexpr std::int64_t kDay = 86'400;

/// A folder of its own, removed at the end.
class Folder {
  public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "palier-tls-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string path(const std::string& name = "") const {
        return name.empty() ? path_ : path_ + "/" + name;
    }
    /// In place.
    std::string write(const std::string& name, std::string_view text) const {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }
    /// In one step, as a careful program does.
    void replace(const std::string& name, std::string_view text) const {
        write(".new", text);
        std::filesystem::rename(path(".new"), path(name));
    }
    void remove(const std::string& name) const { std::filesystem::remove_all(path(name)); }

  private:
    std::string path_;
};

enum class TestKey { p256, rsa, weak_rsa, ed25519 };

inline KeyPtr make_key(TestKey kind) {
    switch (kind) {
        case TestKey::p256:
            return KeyPtr(EVP_EC_gen("P-256"));
        case TestKey::rsa:
            return KeyPtr(EVP_RSA_gen(2048));
        case TestKey::weak_rsa:
            return KeyPtr(EVP_RSA_gen(1024));
        case TestKey::ed25519:
            break;
    }
    return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

/// RSA keys take long to make: tests share one.
inline EVP_PKEY* shared_key(TestKey kind) {
    static const KeyPtr rsa = make_key(TestKey::rsa);
    static const KeyPtr weak = make_key(TestKey::weak_rsa);
    return kind == TestKey::rsa ? rsa.get() : weak.get();
}

struct Wish {
    std::vector<std::string>
        names{};  // as x509v3.cnf writes them: "DNS:" is put before those that have no ":"
    std::string common_name = "test";
    TestKey key = TestKey::p256;
    std::int64_t from_s = -kDay;  // from now
    std::int64_t until_s = 90 * kDay;
    bool authority = false;
};

template <typename Write>
std::string to_pem(Write write) {
    BIO* memory = BIO_new(BIO_s_mem());
    REQUIRE(write(memory) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(memory);
    return text;
}

struct Issued {
    CertificatePtr certificate;
    KeyPtr key;

    [[nodiscard]] std::string pem() const {
        return to_pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
    }
    [[nodiscard]] std::string key_pem() const {
        return to_pem([&](BIO* out) {
            return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    [[nodiscard]] std::string both() const { return pem() + key_pem(); }
    [[nodiscard]] std::string der() const {
        unsigned char* bytes = nullptr;
        const int size = i2d_X509(certificate.get(), &bytes);
        REQUIRE(size > 0);
        std::string text(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
        OPENSSL_free(bytes);
        return text;
    }
};

inline void add_extension(X509* certificate, int id, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str());
    REQUIRE(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/// Signed by `issuer`, or by itself.
inline Issued issue(const Wish& wish, const Issued* issuer = nullptr) {
    static std::atomic<long> serial{1000};
    Issued issued{CertificatePtr(X509_new()), nullptr};
    const bool slow = wish.key == TestKey::rsa || wish.key == TestKey::weak_rsa;
    if (slow) EVP_PKEY_up_ref(shared_key(wish.key));
    issued.key = slow ? KeyPtr(shared_key(wish.key)) : make_key(wish.key);
    X509* certificate = issued.certificate.get();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), wish.from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wish.until_s);
    X509_NAME* subject = X509_get_subject_name(certificate);
    const auto* name = reinterpret_cast<const unsigned char*>(wish.common_name.c_str());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, -1, -1, 0);
    const X509* by = issuer == nullptr ? certificate : issuer->certificate.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(by));
    X509_set_pubkey(certificate, issued.key.get());
    std::string names;
    for (const std::string& each : wish.names)
        names += (names.empty() ? "" : ",") + (each.find(':') == std::string::npos ? "DNS:" + each : each);
    if (!names.empty()) add_extension(certificate, NID_subject_alt_name, names);
    add_extension(certificate, NID_basic_constraints, wish.authority ? "critical,CA:TRUE" : "CA:FALSE");
    EVP_PKEY* signer = issuer == nullptr ? issued.key.get() : issuer->key.get();
    const bool own_digest = EVP_PKEY_get_id(signer) == EVP_PKEY_ED25519;
    REQUIRE(X509_sign(certificate, signer, own_digest ? nullptr : EVP_sha256()) > 0);
    return issued;
}

inline Issued issue_for(const std::string& name) {
    return issue({.names = {name}, .common_name = name});
}

/// What distinguishes certificates in tests.
inline long serial_of(const X509* certificate) {
    return ASN1_INTEGER_get(X509_get0_serialNumber(certificate));
}
inline long serial_of(const Issued& issued) {
    return serial_of(issued.certificate.get());
}

}  // namespace palier::tls
