// Real handshakes between a client of OpenSSL and a ServerContext, without sockets.
#pragma once

#include "certificates.h"
#include "palier/tls/certificate_store.h"
#include "palier/tls/server_context.h"
#include "palier/tls/ticket_keys.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace palier::tls {

using SessionPtr = std::unique_ptr<SSL_SESSION, Freed<&SSL_SESSION_free>>;

struct ClientWish {
    std::string name{};            // "": none
    int version = TLS1_3_VERSION;  // and no other
    std::string ciphers{};         // of TLS 1.2
    std::string suites{};          // of TLS 1.3
    std::string signatures{};
    std::string groups{};
    std::string protocols{};  // as ALPN writes them
    SSL_SESSION* session = nullptr;
    const Issued* certificate = nullptr;
    bool staple = false;
};

struct Outcome {
    bool done = false;
    long serial = 0;  // of the server's certificate
    int chain = 0;    // certificates after that
    int key = EVP_PKEY_NONE;
    bool resumed = false;
    std::string cipher;
    std::string protocol;  // ALPN
    std::string staple;
    std::string seen_name;  // what the server says the client asked for
    int alert = 0;          // which the client received
    int verify = 0;         // the server's verdict on the client
    SessionPtr session;     // to resume
    int tickets = 0;
};

namespace handshake {

inline int& index() {
    static int at = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return at;
}

inline int keep_session(SSL* ssl, SSL_SESSION* session) {
    auto* outcome = static_cast<Outcome*>(SSL_get_ex_data(ssl, index()));
    outcome->session.reset(session);
    ++outcome->tickets;
    return 1;
}

inline void note_alert(const SSL* ssl, int where, int value) {
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
        static_cast<Outcome*>(SSL_get_ex_data(ssl, index()))->alert = value & 0xff;
}

inline SslContextPtr client_context(const ClientWish& wish) {
    SslContextPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context.get(), wish.version);
    SSL_CTX_set_max_proto_version(context.get(), wish.version);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), &keep_session);
    SSL_CTX_set_info_callback(context.get(), &note_alert);
    if (!wish.ciphers.empty()) REQUIRE(SSL_CTX_set_cipher_list(context.get(), wish.ciphers.c_str()) == 1);
    if (!wish.suites.empty()) REQUIRE(SSL_CTX_set_ciphersuites(context.get(), wish.suites.c_str()) == 1);
    if (!wish.signatures.empty())
        REQUIRE(SSL_CTX_set1_sigalgs_list(context.get(), wish.signatures.c_str()) == 1);
    if (!wish.groups.empty()) REQUIRE(SSL_CTX_set1_groups_list(context.get(), wish.groups.c_str()) == 1);
    if (!wish.protocols.empty())
        SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(wish.protocols.data()),
                                static_cast<unsigned>(wish.protocols.size()));
    if (wish.certificate != nullptr)
        SSL_CTX_use_cert_and_key(context.get(), wish.certificate->certificate.get(),
                                 wish.certificate->key.get(), nullptr, 1);
    return context;
}

inline void look_at(SSL* client, SSL* server, Outcome& outcome) {
    const CertificatePtr certificate(SSL_get1_peer_certificate(client));
    if (certificate != nullptr) {
        outcome.serial = serial_of(certificate.get());
        outcome.key = EVP_PKEY_get_base_id(X509_get0_pubkey(certificate.get()));
        outcome.chain = sk_X509_num(SSL_get_peer_cert_chain(client)) - 1;
    }
    outcome.resumed = SSL_session_reused(server) == 1;
    outcome.cipher = SSL_get_cipher_name(client);
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client, &protocol, &size);
    outcome.protocol.assign(reinterpret_cast<const char*>(protocol), size);
    const unsigned char* staple = nullptr;
    const long staple_size = SSL_get_tlsext_status_ocsp_resp(client, &staple);
    if (staple_size > 0)
        outcome.staple.assign(reinterpret_cast<const char*>(staple), static_cast<std::size_t>(staple_size));
    const char* name = SSL_get_servername(server, TLSEXT_NAMETYPE_host_name);
    outcome.seen_name = name == nullptr ? "" : name;
    outcome.verify = static_cast<int>(SSL_get_verify_result(server));
}

/// True once it is done, false when it failed; the other side's turn otherwise.
inline bool step(SSL* ssl, bool& failed) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl);
    if (result == 1) return true;
    const int error = SSL_get_error(ssl, result);
    failed = failed || (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE);
    return false;
}

}  // namespace handshake

inline Outcome shake_hands(const ServerContext& context, const ClientWish& wish = {}) {
    const SslContextPtr client_context = handshake::client_context(wish);
    const SslPtr client(SSL_new(client_context.get()));
    const SslPtr server(context.start());
    Outcome outcome;
    SSL_set_ex_data(client.get(), handshake::index(), &outcome);
    if (!wish.name.empty()) SSL_set_tlsext_host_name(client.get(), wish.name.c_str());
    // The library uses a session of TLS 1.3 once: tests offer one again and again.
    const SessionPtr session(wish.session == nullptr ? nullptr : SSL_SESSION_dup(wish.session));
    if (session != nullptr) SSL_set_session(client.get(), session.get());
    if (wish.staple) SSL_set_tlsext_status_type(client.get(), TLSEXT_STATUSTYPE_ocsp);
    SSL_set_connect_state(client.get());
    BIO* client_end = nullptr;
    BIO* server_end = nullptr;
    REQUIRE(BIO_new_bio_pair(&client_end, 65536, &server_end, 65536) == 1);
    SSL_set_bio(client.get(), client_end, client_end);
    SSL_set_bio(server.get(), server_end, server_end);

    bool client_failed = false;
    bool server_failed = false;
    bool client_done = false;
    bool server_done = false;
    for (int round = 0; round < 20 && !(client_done && server_done); ++round) {
        if (!client_failed) client_done = handshake::step(client.get(), client_failed);
        if (!server_failed) server_done = handshake::step(server.get(), server_failed);
    }
    outcome.done = client_done && server_done && !client_failed && !server_failed;
    // Tickets of TLS 1.3 and alerts come after the client's handshake.
    char byte = 0;
    static_cast<void>(SSL_read(client.get(), &byte, 1));
    if (outcome.done) handshake::look_at(client.get(), server.get(), outcome);
    // With TLS 1.2 the library does not tell of a ticket that was replaced at resumption.
    if (outcome.done && outcome.resumed && outcome.session == nullptr &&
        SSL_get_session(client.get()) != session.get()) {
        outcome.session.reset(SSL_get1_session(client.get()));
        ++outcome.tickets;
    }
    // A session is only good for resumption when its connection ended well.
    SSL_set_shutdown(client.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ERR_clear_error();
    return outcome;
}

/// A server over a folder of certificates.
struct Server {
    explicit Server(std::vector<std::string> sources, config::ListenerTlsConfig wish = {},
                    const std::string& listener = "https", StoreLimits limits = {},
                    std::shared_ptr<const TicketKeys> keys = nullptr)
        : store(std::make_shared<CertificateStore>(sources, limits)), tickets(std::move(keys)) {
        wish.certificates = std::move(sources);
        store->refresh();
        if (tickets == nullptr) tickets = *TicketKeys::random();
        auto made = ServerContext::make(wish, listener, store, tickets);
        if (!made) error = made.error().message;
        if (made) context = *made;
    }

    [[nodiscard]] Outcome meet(const ClientWish& wish) const {
        INFO(error);
        REQUIRE(context != nullptr);
        return shake_hands(*context, wish);
    }
    [[nodiscard]] Outcome visit(const std::string& name) const { return meet(ClientWish{.name = name}); }

    std::shared_ptr<CertificateStore> store;
    std::shared_ptr<const TicketKeys> tickets;
    std::shared_ptr<const ServerContext> context;
    std::string error;
};

}  // namespace palier::tls
