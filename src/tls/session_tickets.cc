#include "tls/session_tickets.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

namespace palier::tls {
namespace {

constexpr long kLifetimeS = 12 * 3'600;
constexpr long kLifetimeWithClientsS = 3'600;

// What OpenSSL wants to hear from a ticket callback.
constexpr int kNoTicket = 0;
constexpr int kOpened = 1;
constexpr int kOpenedAndOutdated = 2;
constexpr int kFailed = -1;

int tickets_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

bool start_mac(EVP_MAC_CTX& mac, TicketKey& key) {
    std::string digest = "SHA256";
    const std::array<OSSL_PARAM, 3> parameters{
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.hmac.data(), key.hmac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(&mac, parameters.data()) == 1;
}

/// A session with a client's certificate ends with that certificate: resumption does not verify it again.
SSL_TICKET_RETURN on_opened(SSL* /*ssl*/, SSL_SESSION* session, const unsigned char* /*name*/,
                            std::size_t /*name_size*/, SSL_TICKET_STATUS status, void* /*argument*/) {
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    const X509* peer = SSL_SESSION_get0_peer(session);
    if (peer != nullptr && X509_cmp_current_time(X509_get0_notAfter(peer)) <= 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

}  // namespace

std::unique_ptr<SessionTickets> SessionTickets::make(std::shared_ptr<const TicketKeys> keys) {
    std::unique_ptr<SessionTickets> tickets(new SessionTickets);
    tickets->keys_ = std::move(keys);
    tickets->cipher_.reset(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr));
    return tickets->cipher_ == nullptr || tickets_index() < 0 ? nullptr : std::move(tickets);
}

void SessionTickets::serve(SSL_CTX& context, bool clients) const {
    SSL_CTX_set_ex_data(&context, tickets_index(), const_cast<SessionTickets*>(this));
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(&context, 1);
    SSL_CTX_set_timeout(&context, clients ? kLifetimeWithClientsS : kLifetimeS);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(&context, &on_ticket);
    if (clients) SSL_CTX_set_session_ticket_cb(&context, nullptr, &on_opened, nullptr);
}

int SessionTickets::on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                              EVP_MAC_CTX* mac, int sealing) {
    const auto* tickets =
        static_cast<const SessionTickets*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tickets_index()));
    if (sealing == 1) return tickets->seal(name, iv, *cipher, *mac);
    const int opened = tickets->open(name, iv, *cipher, *mac);
    // Clients of TLS 1.3 use a ticket only once (RFC 8446 section C.4): they need the next one.
    return opened == kOpened && SSL_version(ssl) == TLS1_3_VERSION ? kOpenedAndOutdated : opened;
}

int SessionTickets::seal(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX& cipher,
                         EVP_MAC_CTX& mac) const {
    TicketKey key = keys_->current();
    const bool ready = RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher_.get())) == 1 &&
                       EVP_EncryptInit_ex2(&cipher, cipher_.get(), key.aes.data(), iv, nullptr) == 1 &&
                       start_mac(mac, key);
    std::ranges::copy(key.name, name);
    OPENSSL_cleanse(&key, sizeof key);
    return ready ? kOpened : kFailed;
}

int SessionTickets::open(const unsigned char* name, const unsigned char* iv, EVP_CIPHER_CTX& cipher,
                         EVP_MAC_CTX& mac) const {
    auto found = keys_->find(name);
    if (!found) return kNoTicket;
    const bool ready = EVP_DecryptInit_ex2(&cipher, cipher_.get(), found->key.aes.data(), iv, nullptr) == 1 &&
                       start_mac(mac, found->key);
    OPENSSL_cleanse(&found->key, sizeof found->key);
    if (!ready) return kFailed;
    return found->current ? kOpened : kOpenedAndOutdated;
}

}  // namespace palier::tls
