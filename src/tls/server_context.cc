#include "palier/tls/server_context.h"

#include "palier/tls/certificate_store.h"
#include "palier/tls/ticket_keys.h"
#include "tls/cipher_lists.h"
#include "tls/client_authentication.h"
#include "tls/credentials.h"
#include "tls/file_bytes.h"
#include "tls/host_name.h"
#include "tls/openssl.h"
#include "tls/openssl_error.h"
#include "tls/server_name.h"
#include "tls/session_tickets.h"
#include "tls/staple.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>

namespace palier::tls {
namespace {

using Digest = std::array<unsigned char, 32>;
static_assert(sizeof(Digest) <= SSL_MAX_SID_CTX_LENGTH);

/// What the callbacks of a listener's connections need.
class Listening {
  public:
    static int on_client_hello(SSL* ssl, int* alert, void* argument) {
        return static_cast<const Listening*>(argument)->greet(*ssl, *alert);
    }

    static int on_alpn(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size,
                       const unsigned char* offered, unsigned offered_size, void* argument) {
        const auto* listening = static_cast<const Listening*>(argument);
        const std::string_view protocols = listening->protocols;
        // The function does not write through the pointer it wants.
        const int found =
            SSL_select_next_proto(const_cast<unsigned char**>(chosen), size,
                                  reinterpret_cast<const unsigned char*>(protocols.data()),
                                  static_cast<unsigned>(protocols.size()), offered, offered_size);
        return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    /// Says that the name was heard; only then does a session remember it (RFC 6066 section 3).
    static int on_server_name(SSL* ssl, int* /*alert*/, void* /*argument*/) {
        return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == nullptr ? SSL_TLSEXT_ERR_NOACK
                                                                             : SSL_TLSEXT_ERR_OK;
    }

    std::shared_ptr<const CertificateStore> store;
    std::unique_ptr<const SessionTickets> tickets;
    DigestPtr sha256;
    std::string default_name;
    std::string protocols;  // as ALPN writes them, the preferred one first
    std::string binding;    // what all of the listener's sessions are bound to

  private:
    int greet(SSL& ssl, int& alert) const {
        const unsigned char* bytes = nullptr;
        std::size_t size = 0;
        std::optional<std::string_view> asked = "";
        if (SSL_client_hello_get0_ext(&ssl, TLSEXT_TYPE_server_name, &bytes, &size) == 1)
            asked = read_server_name({reinterpret_cast<const char*>(bytes), size});
        if (!asked) {
            alert = SSL_AD_DECODE_ERROR;
            return SSL_CLIENT_HELLO_ERROR;
        }
        const HostName name(*asked);
        if (serve(ssl, name.view()) || serve(ssl, default_name)) return SSL_CLIENT_HELLO_SUCCESS;
        alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }

    /// False when there is no certificate for this name.
    bool serve(SSL& ssl, std::string_view name) const {
        if (name.empty()) return false;
        bool served = false;
        for (const auto& credentials : store->select(name)) {
            if (SSL_use_cert_and_key(&ssl, credentials->certificate.get(), credentials->key.get(),
                                     credentials->stack.get(), 1) == 1) {
                served = true;
            } else {
                ERR_clear_error();
            }
        }
        return served && bind_session(ssl, name);
    }

    /// A ticket that was given under one name, listener or set of client authorities opens under no other.
    bool bind_session(SSL& ssl, std::string_view name) const {
        std::string bound;
        bound.reserve(binding.size() + name.size());
        bound.append(binding).append(name);
        Digest digest;
        return EVP_Digest(bound.data(), bound.size(), digest.data(), nullptr, sha256.get(), nullptr) == 1 &&
               SSL_set_session_id_context(&ssl, digest.data(), digest.size()) == 1;
    }
};

void free_listening(void* /*context*/, void* listening, CRYPTO_EX_DATA* /*data*/, int /*index*/,
                    long /*number*/, void* /*argument*/) {
    delete static_cast<Listening*>(listening);
}

int listening_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_listening);
    return index;
}

std::string alpn_of(const config::ListenerTlsConfig& config) {
    std::string protocols;
    for (const auto& [wanted, name] :
         {std::pair<bool, std::string_view>{config.http2, "h2"}, {config.http1, "http/1.1"}}) {
        if (wanted) protocols.append(1, static_cast<char>(name.size())).append(name);
    }
    return protocols;
}

void set_manners(SSL_CTX& context) {
    // No early data: it may be replayed, and its limit is 0 unless set. No SSL_OP_IGNORE_UNEXPECTED_EOF:
    // truncation is to be noticed.
    SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                      SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(&context, SSL_MODE_ENABLE_PARTIAL_WRITE);
}

/// A digest of fixed size, so that what is hashed behind it cannot run into it.
base::Result<std::string> binding_of(const EVP_MD& sha256, const std::string& listener,
                                     const std::string& clients) {
    const std::string text = fmt::format("{}:{}{}", listener.size(), listener, clients);
    Digest digest;
    if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, &sha256, nullptr) != 1)
        return base::failure(take_openssl_error());
    return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
}

}  // namespace

base::Result<std::shared_ptr<const ServerContext>> ServerContext::make(
    const config::ListenerTlsConfig& config, const std::string& listener,
    std::shared_ptr<const CertificateStore> store, std::shared_ptr<const TicketKeys> tickets) {
    const std::uint64_t client_ca_mark = mark_to_keep(config.client_ca);
    SslContextPtr context(SSL_CTX_new(TLS_server_method()));
    auto listening = std::make_unique<Listening>();
    listening->store = std::move(store);
    listening->tickets = SessionTickets::make(std::move(tickets));
    listening->sha256.reset(EVP_MD_fetch(nullptr, "SHA256", nullptr));
    if (context == nullptr || listening->tickets == nullptr || listening->sha256 == nullptr ||
        listening_index() < 0) {
        return base::failure(fmt::format("OpenSSL cannot start: {}", take_openssl_error()));
    }
    set_manners(*context);
    if (const auto set = apply_cipher_lists(*context, config); !set) return std::unexpected(set.error());
    const auto clients = apply_client_authentication(*context, config);
    if (!clients) return std::unexpected(clients.error());
    auto binding = binding_of(*listening->sha256, listener, *clients);
    if (!binding) return std::unexpected(binding.error());
    listening->binding = std::move(*binding);
    listening->default_name = HostName(config.default_name).view();
    listening->protocols = alpn_of(config);

    Listening* callbacks = listening.get();
    if (SSL_CTX_set_ex_data(context.get(), listening_index(), callbacks) != 1)
        return base::failure(fmt::format("OpenSSL cannot start: {}", take_openssl_error()));
    static_cast<void>(listening.release());
    callbacks->tickets->serve(*context, config.client_auth != config::ClientAuth::off);
    offer_staples(*context);
    SSL_CTX_set_client_hello_cb(context.get(), &Listening::on_client_hello, callbacks);
    SSL_CTX_set_alpn_select_cb(context.get(), &Listening::on_alpn, callbacks);
    SSL_CTX_set_tlsext_servername_callback(context.get(), &Listening::on_server_name);
    return std::shared_ptr<const ServerContext>(
        new ServerContext(context.release(), config.client_ca, client_ca_mark));
}

ServerContext::~ServerContext() {
    SSL_CTX_free(context_);
}

bool ServerContext::up_to_date() const {
    return client_ca_.empty() || still_is(client_ca_, client_ca_mark_);
}

ssl_st* ServerContext::start() const {
    SSL* ssl = SSL_new(context_);
    if (ssl != nullptr) SSL_set_accept_state(ssl);
    return ssl;
}

}  // namespace palier::tls
