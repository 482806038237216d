#include "tls/credentials.h"

#include "tls/file_bytes.h"
#include "tls/openssl_error.h"
#include "tls/pem.h"
#include "tls/staple.h"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>

namespace palier::tls {
namespace {

CertificatePtr parse_certificate(const std::string& der) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    CertificatePtr certificate(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
    if (certificate == nullptr) ERR_clear_error();
    return certificate;
}

const char* algorithm_of(KeyType type) {
    switch (type) {
        case KeyType::rsa:
            return "RSA";
        case KeyType::rsa_pss:
            return "RSA-PSS";
        case KeyType::ecdsa:
            return "EC";
        case KeyType::ed25519:
            return "ED25519";
        case KeyType::ed448:
            return "ED448";
        case KeyType::other:
            break;
    }
    return nullptr;
}

using DecoderPtr = std::unique_ptr<OSSL_DECODER_CTX, Freed<&OSSL_DECODER_CTX_free>>;

/// A key of a kind that is known already, in a fourth of the time that OpenSSL takes to try all kinds.
KeyPtr decode_key(KeyType type, bool generic, const std::string& der) {
    EVP_PKEY* key = nullptr;
    const DecoderPtr decoder(
        OSSL_DECODER_CTX_new_for_pkey(&key, "DER", generic ? "PrivateKeyInfo" : "type-specific",
                                      algorithm_of(type), EVP_PKEY_KEYPAIR, nullptr, nullptr));
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    std::size_t size = der.size();
    if (decoder != nullptr) OSSL_DECODER_from_data(decoder.get(), &bytes, &size);
    return KeyPtr(key);
}

std::expected<KeyPtr, std::string> parse_key(const PemContents& contents, KeyType type) {
    if (contents.key_is_encrypted)
        return std::unexpected("its private key is encrypted, and there is nobody to ask for the passphrase");
    std::string der;
    if (!decode_base64(contents.key->body, der)) return std::unexpected("its private key is no base64");
    KeyPtr key = decode_key(type, contents.key->label == "PRIVATE KEY", der);
    if (key == nullptr) {
        // It may be another certificate's, of another kind.
        const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
        key.reset(d2i_AutoPrivateKey(nullptr, &bytes, static_cast<long>(der.size())));
    }
    OPENSSL_cleanse(der.data(), der.size());
    ERR_clear_error();
    if (key == nullptr) return std::unexpected("its private key cannot be read");
    return key;
}

std::expected<KeyPtr, std::string> load_key(const CredentialFiles& files, const PemContents& contents,
                                            KeyType type) {
    if (contents.key) return parse_key(contents, type);
    if (files.key == files.certificate)
        return std::unexpected("there is no private key, neither in it nor in a .key file beside it");
    const auto bytes = FileBytes::read(files.key);
    if (!bytes) return std::unexpected(fmt::format("its key {}: {}", files.key, bytes.error()));
    const auto key_contents = read_pem(bytes->view());
    if (!key_contents) return std::unexpected(fmt::format("its key {}: {}", files.key, key_contents.error()));
    if (!key_contents->key)
        return std::unexpected(fmt::format("its key {}: there is no private key", files.key));
    return parse_key(*key_contents, type);
}

/// Each certificate is followed by its issuer, as clients want it (RFC 5246 section 7.4.2), whatever the
/// file's order; what does not belong to the chain goes last.
void sort_chain(X509& leaf, std::vector<ChainCertificate>& chain) {
    const X509* last = &leaf;
    for (auto next = chain.begin(); next != chain.end(); ++next) {
        const auto issuer = std::find_if(next, chain.end(), [&](const ChainCertificate& certificate) {
            return X509_NAME_cmp(X509_get_issuer_name(last), X509_get_subject_name(certificate.get())) == 0;
        });
        if (issuer == chain.end()) return;
        std::rotate(next, issuer, issuer + 1);
        last = next->get();
    }
}

/// Whether OpenSSL's own rules let it be served: long enough keys, signatures that are still believed.
std::expected<void, std::string> try_out(const Credentials& credentials) {
    static const SslContextPtr context(SSL_CTX_new(TLS_server_method()));
    const SslPtr ssl(context == nullptr ? nullptr : SSL_new(context.get()));
    if (ssl != nullptr && SSL_use_cert_and_key(ssl.get(), credentials.certificate.get(),
                                               credentials.key.get(), credentials.stack.get(), 1) == 1) {
        return {};
    }
    return std::unexpected(fmt::format("OpenSSL refuses it: {}", take_openssl_error()));
}

void load_staple(const std::string& file, Credentials& credentials) {
    const auto bytes = FileBytes::read(file);
    if (!bytes) {
        credentials.staple_problem = bytes.error();
        return;
    }
    X509* issuer = credentials.chain.empty() ? nullptr : credentials.chain.front().get();
    auto staple = Staple::read(bytes->view(), *credentials.certificate, issuer, file);
    if (!staple) {
        credentials.staple_problem = staple.error();
    } else if (!(*staple)->fresh(std::time(nullptr))) {
        // Attached all the same: a clock may be wrong, and then right.
        credentials.staple_problem = "it is not fresh";
        static_cast<void>((*staple)->first_complaint());
    }
    if (staple && !attach_staple(*credentials.certificate, std::move(*staple)))
        credentials.staple_problem = "out of memory";
}

}  // namespace

ChainCertificate ChainPool::find_or_parse(const std::string& der) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = known_.find(der);
        if (found != known_.end()) {
            if (auto certificate = found->second.lock()) return certificate;
        }
    }
    CertificatePtr parsed = parse_certificate(der);
    if (parsed == nullptr) return nullptr;
    ChainCertificate certificate(std::move(parsed));
    const std::lock_guard lock(mutex_);
    known_[der] = certificate;
    if (known_.size() > sweep_at_) {
        std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
        sweep_at_ = std::max<std::size_t>(64, known_.size() * 2);
    }
    return certificate;
}

std::optional<CertificateOutline> outline_leaf(const PemContents& contents, std::size_t& index,
                                               std::string& der) {
    std::optional<CertificateOutline> first;
    for (std::size_t i = 0; i < contents.certificates.size(); ++i) {
        if (!decode_base64(contents.certificates[i], der)) return std::nullopt;
        auto outline = outline_certificate(der);
        if (!outline) return std::nullopt;
        if (!outline->authority) {
            index = i;
            return outline;
        }
        if (i == 0) first = std::move(outline);
    }
    index = 0;
    if (first && contents.certificates.size() > 1 && !decode_base64(contents.certificates.front(), der))
        return std::nullopt;
    return first;
}

LoadedCredentials load_credentials(const CredentialFiles& files, ChainPool& pool) {
    const auto bytes = FileBytes::read(files.certificate);
    if (!bytes) return std::unexpected(bytes.error());
    const auto contents = read_pem(bytes->view());
    if (!contents) return std::unexpected(contents.error());
    if (contents->certificates.empty()) return std::unexpected("there is no certificate in it");

    auto credentials = std::make_shared<Credentials>();
    std::size_t leaf = 0;
    std::string der;
    const auto outline = outline_leaf(*contents, leaf, der);
    if (outline) credentials->certificate = parse_certificate(der);
    if (credentials->certificate == nullptr) return std::unexpected("its certificate is damaged");
    credentials->not_after = outline->not_after;
    auto key = load_key(files, *contents, outline->key_type);
    if (!key) return std::unexpected(key.error());
    credentials->key = std::move(*key);
    if (X509_check_private_key(credentials->certificate.get(), credentials->key.get()) != 1) {
        ERR_clear_error();
        return std::unexpected(contents->key
                                   ? std::string("its private key belongs to another certificate")
                                   : fmt::format("its key {} belongs to another certificate", files.key));
    }
    for (std::size_t i = 0; i < contents->certificates.size(); ++i) {
        if (i == leaf) continue;
        auto link = decode_base64(contents->certificates[i], der) ? pool.find_or_parse(der) : nullptr;
        if (link == nullptr) return std::unexpected("a certificate of its chain is damaged");
        credentials->chain.push_back(std::move(link));
    }
    sort_chain(*credentials->certificate, credentials->chain);
    credentials->stack.reset(sk_X509_new_null());
    if (credentials->stack == nullptr) return std::unexpected("out of memory");
    for (const ChainCertificate& link : credentials->chain) {
        if (sk_X509_push(credentials->stack.get(), link.get()) == 0) return std::unexpected("out of memory");
    }
    if (auto fine = try_out(*credentials); !fine) return std::unexpected(fine.error());
    if (!files.staple.empty()) load_staple(files.staple, *credentials);
    return credentials;
}

}  // namespace palier::tls
