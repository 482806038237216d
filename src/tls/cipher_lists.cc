#include "tls/cipher_lists.h"

#include "tls/openssl_error.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <openssl/err.h>

namespace palier::tls {
namespace {

// Forward secrecy and authenticated encryption only; AES first because servers have it in hardware, and
// clients that have not prefer ChaCha20 themselves (SSL_OP_PRIORITIZE_CHACHA).
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphersuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

// OpenSSL's own order, the post-quantum group first where the library has it, without the finite-field groups:
// a client can make a server compute for a tenth of a second with each of those, for free (CVE-2022-40735).
constexpr std::array<const char*, 2> kGroups{"X25519MLKEM768:X25519:P-256:X448:P-521:P-384",
                                             "X25519:P-256:X448:P-521:P-384"};

using Setter = int (*)(SSL_CTX*, const char*);

int set_groups(SSL_CTX* context, const char* groups) {
    return static_cast<int>(SSL_CTX_set1_groups_list(context, groups));
}

/// The first part of a list that means nothing by itself; "" when it is the whole that is wrong. What OpenSSL
/// has beyond names (exclusions, commands, optional groups) is left to OpenSSL.
std::string first_unknown(SSL_CTX& context, Setter set, std::string_view list) {
    constexpr std::string_view kSeparators = ":, ";
    while (!list.empty()) {
        const std::size_t end = list.find_first_of(kSeparators);
        const std::string part(list.substr(0, end));
        list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
        if (part.empty() || part.find_first_of("!-+@?*/") == 0) continue;
        if (set(&context, part.c_str()) != 1) {
            ERR_clear_error();
            return part;
        }
    }
    return {};
}

base::Result<void> apply(SSL_CTX& context, Setter set, std::string_view key, const std::string& list) {
    const std::string unknown = first_unknown(context, set, list);
    if (!unknown.empty()) return base::failure(fmt::format("{}: OpenSSL does not know \"{}\"", key, unknown));
    if (set(&context, list.c_str()) == 1) return {};
    return base::failure(fmt::format("{}: OpenSSL refuses \"{}\": {}", key, list, take_openssl_error()));
}

}  // namespace

base::Result<void> apply_cipher_lists(SSL_CTX& context, const config::ListenerTlsConfig& config) {
    const int version = config.min_version == config::TlsVersion::tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(&context, version) != 1)
        return base::failure(fmt::format("min_version: {}", take_openssl_error()));
    const std::string ciphers = config.ciphers.empty() ? kCiphers : config.ciphers;
    if (auto set = apply(context, &SSL_CTX_set_cipher_list, "ciphers", ciphers); !set) return set;
    const std::string suites = config.ciphersuites.empty() ? kCiphersuites : config.ciphersuites;
    if (auto set = apply(context, &SSL_CTX_set_ciphersuites, "ciphersuites", suites); !set) return set;
    // For those who put DHE into their list.
    SSL_CTX_set_dh_auto(&context, 1);
    if (config.groups.empty()) {
        const bool known = std::ranges::any_of(
            kGroups, [&](const char* groups) { return SSL_CTX_set1_groups_list(&context, groups) == 1; });
        ERR_clear_error();
        return known ? base::Result<void>() : base::failure("groups: OpenSSL has none of palier's");
    }
    return apply(context, &set_groups, "groups", config.groups);
}

}  // namespace palier::tls
