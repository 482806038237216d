/*
 * Makes the certificates that the benchmark's proxies serve, many and fast.
 *
 * usage: certificates DIRECTORY COUNT
 *
 * Writes bench.test.pem and COUNT files shop0.example.com.pem, shop1.example.com.pem and so on: a P-256
 * certificate for that one name, the issuer that signed it, and its private key. Each has a key of its own,
 * as real ones have.
 */
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace {

template <auto kFree>
struct Freed {
    template <typename T>
    void operator()(T* owned) const {
        kFree(owned);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using File = std::unique_ptr<FILE, Freed<fclose>>;

constexpr long kDay = 24L * 60 * 60;

[[noreturn]] void fail(const std::string& what) {
    std::perror(what.c_str());
    ERR_print_errors_fp(stderr);
    std::exit(1);
}

void require(bool done, const char* what) {
    if (!done) fail(what);
}

void set_name(X509_NAME* name, const std::string& common_name) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(common_name.c_str());
    require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes, -1, -1, 0) == 1, "name");
}

Extension make_extension(int nid, const std::string& value) {
    Extension made(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
    require(made != nullptr, "extension");
    return made;
}

void extend(X509* certificate, const Extension& extension) {
    require(X509_add_ext(certificate, extension.get(), -1) == 1, "extension");
}

Key make_key() {
    Key key(EVP_EC_gen("P-256"));
    require(key != nullptr, "key");
    return key;
}

/* Everything but the extensions and the signature. */
Certificate begin_certificate(EVP_PKEY* key, long serial, const std::string& subject) {
    Certificate made(X509_new());
    require(made != nullptr, "certificate");
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -kDay);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 90 * kDay);
    X509_set_pubkey(made.get(), key);
    set_name(X509_get_subject_name(made.get()), subject);
    return made;
}

struct Issuer {
    Key key = make_key();
    Certificate certificate = begin_certificate(key.get(), 1, "palier benchmark");

    Issuer() {
        X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
        extend(certificate.get(), make_extension(NID_basic_constraints, "critical,CA:TRUE"));
        extend(certificate.get(), make_extension(NID_key_usage, "critical,keyCertSign,cRLSign"));
        sign(certificate.get());
    }

    void sign(X509* other) const { require(X509_sign(other, key.get(), EVP_sha256()) > 0, "signature"); }
};

void write_certificate(const Issuer& issuer, const std::string& directory, const std::string& name,
                       long serial) {
    const Key key = make_key();
    const Certificate made = begin_certificate(key.get(), serial, name);
    X509_set_issuer_name(made.get(), X509_get_subject_name(issuer.certificate.get()));
    static const Extension signs = make_extension(NID_key_usage, "critical,digitalSignature");
    static const Extension serves = make_extension(NID_ext_key_usage, "serverAuth");
    extend(made.get(), make_extension(NID_subject_alt_name, "DNS:" + name));
    extend(made.get(), signs);
    extend(made.get(), serves);
    issuer.sign(made.get());

    const std::string path = directory + "/" + name + ".pem";
    File file(std::fopen(path.c_str(), "we"));
    if (file == nullptr) fail(path);
    const bool written =
        PEM_write_X509(file.get(), made.get()) == 1 &&
        PEM_write_X509(file.get(), issuer.certificate.get()) == 1 &&
        PEM_write_PrivateKey(file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
    if (!written || std::fflush(file.get()) != 0) fail(path);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: certificates DIRECTORY COUNT\n");
        return 2;
    }
    const std::string directory = argv[1];
    const long count = std::atol(argv[2]);
    const Issuer issuer;
    write_certificate(issuer, directory, "bench.test", 2);
    for (long i = 0; i < count; ++i)
        write_certificate(issuer, directory, "shop" + std::to_string(i) + ".example.com", 3 + i);
}
