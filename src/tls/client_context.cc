#include "palier/tls/client_context.h"

#include "palier/base/ip.h"
#include "tls/file_bytes.h"
#include "tls/openssl_error.h"

#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace palier::tls {
namespace {

int context_index() {
    static const int kIndex = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return kIndex;
}

// Length-prefixed, as ALPN has its list (RFC 7301 section 3.1).
constexpr std::array<unsigned char, 9> kHttp1{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

}  // namespace

/// One set of certificates that are believed. Parsing a system's takes milliseconds, so that the servers that
/// believe the same share it.
struct ClientContext::Trust {
    SSL_CTX* context = nullptr;
    std::string ca;
    std::uint64_t mark = 0;  // of that file, before it was read

    [[nodiscard]] bool up_to_date() const { return ca.empty() || still_is(ca, mark); }
    ~Trust() { SSL_CTX_free(context); }

    static base::Result<std::shared_ptr<const Trust>> of(const std::string& ca) {
        static std::mutex mutex;
        static std::map<std::string, std::weak_ptr<const Trust>> known;
        const std::lock_guard lock(mutex);
        if (auto shared = known[ca].lock(); shared && shared->up_to_date()) return shared;
        auto trust = std::make_shared<Trust>();
        trust->ca = ca;
        trust->mark = mark_to_keep(ca);
        trust->context = SSL_CTX_new(TLS_client_method());
        if (trust->context == nullptr) return base::failure(take_openssl_error());
        SSL_CTX* context = trust->context;
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, &ClientContext::on_session);
        SSL_CTX_set_alpn_protos(context, kHttp1.data(), kHttp1.size());
        const bool loaded = ca.empty() ? SSL_CTX_set_default_verify_paths(context) == 1
                                       : SSL_CTX_load_verify_file(context, ca.c_str()) == 1;
        if (!loaded) {
            return base::failure(fmt::format("\"{}\" holds no certificates to believe: {}",
                                             ca.empty() ? "the system's store" : ca, take_openssl_error()));
        }
        known[ca] = trust;
        return trust;
    }
};

base::Result<std::shared_ptr<const ClientContext>> ClientContext::make(const config::BackendTlsConfig& config,
                                                                       const std::string& host) {
    auto trust = Trust::of(config.ca);
    if (!trust) return std::unexpected(trust.error());
    std::string name = config.server_name.empty() ? host : config.server_name;
    return std::shared_ptr<const ClientContext>(
        new ClientContext(std::move(*trust), std::move(name), config.verify));
}

ClientContext::ClientContext(std::shared_ptr<const Trust> trust, std::string name, bool verify)
    : trust_(std::move(trust)),
      name_(std::move(name)),
      is_address_(base::IpAddress::parse(name_).has_value()),
      verify_(verify) {}

bool ClientContext::up_to_date() const {
    return trust_->up_to_date();
}

ClientContext::~ClientContext() {
    SSL_SESSION_free(session_);
}

ssl_st* ClientContext::start() const {
    SSL* ssl = SSL_new(trust_->context);
    if (ssl == nullptr) return nullptr;
    SSL_set_ex_data(ssl, context_index(), const_cast<ClientContext*>(this));
    SSL_set_connect_state(ssl);
    // RFC 6066 section 3: an address is no server name.
    bool ready = is_address_ || SSL_set_tlsext_host_name(ssl, name_.c_str()) == 1;
    if (verify_) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
        X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
        X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ready = ready && (is_address_ ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name_.c_str()) == 1
                                      : SSL_set1_host(ssl, name_.c_str()) == 1);
    } else {
        SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
    }
    if (!ready) {
        SSL_free(ssl);
        return nullptr;
    }
    const std::lock_guard lock(mutex_);
    if (session_ != nullptr) {
        // OpenSSL offers a session of TLS 1.3 only once: each connection gets a copy, for a server knows us
        // anyway, and many connections may begin before it gives another.
        SSL_SESSION* copy = SSL_SESSION_dup(session_);
        SSL_set_session(ssl, copy);
        SSL_SESSION_free(copy);
    }
    return ssl;
}

/// OpenSSL's callback, on the connection's thread: a server gave a session. Returning 1 takes it.
int ClientContext::on_session(ssl_st* ssl, ssl_session_st* session) {
    const auto* self = static_cast<const ClientContext*>(SSL_get_ex_data(ssl, context_index()));
    if (self == nullptr) return 0;
    SSL_SESSION* former = nullptr;
    {
        const std::lock_guard lock(self->mutex_);
        former = std::exchange(self->session_, session);
    }
    SSL_SESSION_free(former);
    return 1;
}

}  // namespace palier::tls
