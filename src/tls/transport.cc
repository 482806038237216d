#include "palier/tls/transport.h"

#include "palier/tls/client_context.h"
#include "palier/tls/server_context.h"
#include "tls/openssl_error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace palier::tls {
namespace {

constexpr std::size_t kRead = 64 * 1024;  // bytes of records a recv, at most
// Received in a row without a byte for us, or answered without the answers being taken: no honest peer's
// doing.
constexpr std::size_t kMostBarren = 256 * 1024;
constexpr std::size_t kMostReplies = 64 * 1024;
constexpr char kHandshakeRecord = 0x16;  // RFC 8446 section 5.1

}  // namespace

/// Where records are read to, and where they are sealed. Both are empty between calls.
struct Workspace::Records {
    explicit Records(base::BufferCache& blocks) : in(new char[kRead]), out(&blocks), cache(blocks) {}

    std::unique_ptr<char[]> in;
    base::Buffer out;
    base::BufferCache& cache;
};

Workspace::Workspace(base::BufferCache& cache) : records_(new Records(cache)) {}
Workspace::~Workspace() = default;

/// The TLS of one connection. OpenSSL reads and writes through a BIO of ours (receive(), seal()), so that it
/// is palier who decides on system calls.
struct Transport::Session {
    Session(SSL* connection, Workspace::Records& workspace, net::Socket& under)
        : ssl(connection),
          records(workspace),
          socket(&under),
          kept(&workspace.cache),
          sealed(&workspace.cache),
          tickets(&workspace.cache) {}
    ~Session() { SSL_free(ssl); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] static std::unique_ptr<Session> make(SSL* ssl, Workspace::Records& records,
                                                       net::Socket& socket);

    [[nodiscard]] net::IoResult receive();
    /// What is left of the input outlives the call that received it.
    void keep_input();
    [[nodiscard]] net::IoStatus send();
    [[nodiscard]] net::IoResult result_of(int returned);
    [[nodiscard]] Handshake fail(std::string reason);
    void seal_goodbye();
    void say_goodbye();

    static int bio_read(BIO* bio, char* data, std::size_t size, std::size_t* got);
    static int bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* taken);
    static long bio_control(BIO* bio, int command, long argument, void* pointer);
    static BIO_METHOD* bio_method();

    SSL* ssl;
    Workspace::Records& records;
    net::Socket* socket;
    std::string_view input;               // records that OpenSSL has not taken yet, during a call
    base::Buffer kept;                    // … and between calls
    base::Buffer sealed;                  // records that the socket did not take
    base::Buffer tickets;                 // records that go with the next ones: nobody waits for them
    std::optional<net::IoResult> ending;  // how reading ended, if bytes came before that
    std::string why;                      // the handshake failed
    int socket_error = 0;
    std::size_t barren = 0;   // bytes received since the last that were content
    std::size_t replies = 0;  // bytes of `sealed` that reading made
    bool pending = false;     // there may be bytes to read without asking the socket
    bool started = false;     // the first bytes of a client were looked at
    bool finished = false;    // the handshake is done
    bool peer_done = false;   // its close_notify has come
    bool broken = false;      // OpenSSL found a fatal error: nothing more may be sent but what is sealed
};

std::unique_ptr<Transport::Session> Transport::Session::make(SSL* ssl, Workspace::Records& records,
                                                             net::Socket& socket) {
    if (ssl == nullptr) return nullptr;
    auto session = std::make_unique<Session>(ssl, records, socket);
    BIO* bio = BIO_new(bio_method());
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, session.get());
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return session;
}

/// One recv into the worker's buffer; only while there is no input.
net::IoResult Transport::Session::receive() {
    if (!socket->readable()) return {};
    const net::IoResult got = socket->read(records.in.get(), kRead);
    kept.clear();  // all of it is used up
    if (got.status != net::IoStatus::ok) return got;
    barren += got.size;
    if (barren > kMostBarren) return {net::IoStatus::failed, 0, EPROTO};
    input = {records.in.get(), got.size};
    return got;
}

void Transport::Session::keep_input() {
    if (!kept.empty()) {
        kept.consume(kept.size() - input.size());
    } else {
        kept.append(input);
    }
    if (kept.empty()) kept.release();
    input = {};
    pending = !kept.empty() || ending.has_value() || SSL_pending(ssl) > 0;
}

/// Sends what was sealed; keeps what the socket does not take. `failed`: the connection is broken.
net::IoStatus Transport::Session::send() {
    base::Buffer& out = records.out;
    if (out.empty()) return net::IoStatus::ok;
    net::IoResult sent{net::IoStatus::ok, 0, 0};
    if (sealed.empty()) sent = socket->write(out.view());
    if (sent.status != net::IoStatus::failed) sealed.append(out.view().substr(sent.size));
    out.clear();
    return sent.status == net::IoStatus::failed ? sent.status : net::IoStatus::ok;
}

int Transport::Session::bio_read(BIO* bio, char* data, std::size_t size, std::size_t* got) {
    auto& session = *static_cast<Session*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (session.input.empty()) {
        const net::IoResult received = session.receive();
        if (received.status == net::IoStatus::would_block) {
            BIO_set_retry_read(bio);
            return 0;
        }
        if (received.status != net::IoStatus::ok) {
            session.socket_error = received.error;
            return 0;
        }
    }
    *got = std::min(size, session.input.size());
    std::memcpy(data, session.input.data(), *got);
    session.input.remove_prefix(*got);
    return 1;
}

int Transport::Session::bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* taken) {
    auto& session = *static_cast<Session*>(BIO_get_data(bio));
    base::Buffer& out = session.records.out;
    if (!session.tickets.empty()) {
        out.append(session.tickets.view());
        session.tickets.release();
    }
    out.append({data, size});
    *taken = size;
    return 1;
}

long Transport::Session::bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* Transport::Session::bio_method() {
    static BIO_METHOD* const kMethod = [] {
        BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "palier");
        BIO_meth_set_read_ex(method, &bio_read);
        BIO_meth_set_write_ex(method, &bio_write);
        BIO_meth_set_ctrl(method, &bio_control);
        return method;
    }();
    return kMethod;
}

/// What a failed call of OpenSSL means for a reader.
net::IoResult Transport::Session::result_of(int returned) {
    switch (SSL_get_error(ssl, returned)) {
        case SSL_ERROR_WANT_READ:
            return {};
        case SSL_ERROR_ZERO_RETURN:
            peer_done = true;
            return {net::IoStatus::closed, 0, 0};
        default:
            broken = true;
            ERR_clear_error();
            return {net::IoStatus::failed, 0, socket_error};
    }
}

Handshake Transport::Session::fail(std::string reason) {
    why = std::move(reason);
    broken = true;
    return Handshake::failed;
}

Transport::Transport() = default;

Transport::~Transport() = default;

Transport::Transport(Transport&& other) noexcept
    : socket_(std::move(other.socket_)), session_(std::move(other.session_)) {
    if (session_) session_->socket = &socket_;
}

bool Transport::start_server(const ServerContext& context, Workspace& workspace,
                             std::string_view already_read) {
    session_ = Session::make(context.start(), *workspace.records_, socket_);
    if (session_) session_->kept.append(already_read);
    return session_ != nullptr;
}

bool Transport::start_client(const ClientContext& context, Workspace& workspace) {
    session_ = Session::make(context.start(), *workspace.records_, socket_);
    if (session_) session_->started = true;
    return session_ != nullptr;
}

Handshake Transport::handshake() {
    Session& session = *session_;
    session.input = session.kept.view();
    if (!session.started) {
        const net::IoResult got =
            session.input.empty() ? session.receive() : net::IoResult{net::IoStatus::ok};
        if (got.status == net::IoStatus::would_block) return Handshake::again;
        if (got.status != net::IoStatus::ok) return session.fail("closed before the handshake");
        const char first = session.input.front();
        if (first != kHandshakeRecord && first >= 'A' && first <= 'Z') {
            session_.reset();
            return Handshake::plain_http;
        }
        session.started = true;
    }
    ERR_clear_error();
    const int returned = SSL_do_handshake(session.ssl);
    if (returned == 1) {
        session.finished = true;
        session.barren = 0;
        session.keep_input();
        if (session.pending && SSL_is_server(session.ssl) == 1 && SSL_version(session.ssl) == TLS1_3_VERSION) {
            // The client's request is here: what it may resume the session with goes with the answer, in one send.
            session.tickets.append(session.records.out.view());
            session.records.out.clear();
        }
        if (session.send() == net::IoStatus::failed) return session.fail("connection reset");
        return Handshake::done;
    }
    const int error = SSL_get_error(session.ssl, returned);
    std::string reason;
    if (error == SSL_ERROR_SSL) {
        const long verified = SSL_get_verify_result(session.ssl);
        reason = take_openssl_error();
        if (verified != X509_V_OK) reason += std::string(": ") + X509_verify_cert_error_string(verified);
    }
    session.keep_input();
    static_cast<void>(session.send());  // an alert that cannot be sent says nothing worse
    if (error == SSL_ERROR_WANT_READ) return Handshake::again;
    return session.fail(reason.empty() ? "closed during the handshake" : std::move(reason));
}

const std::string& Transport::why() const {
    return session_->why;
}

bool Transport::speaks_http2() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(session_->ssl, &name, &size);
    return size == 2 && std::memcmp(name, "h2", 2) == 0;
}

std::string_view Transport::server_name() const {
    const char* name = SSL_get_servername(session_->ssl, TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? std::string_view{} : std::string_view(name);
}

std::string Transport::client_subject() const {
    X509* certificate = SSL_get0_peer_certificate(session_->ssl);
    if (certificate == nullptr || SSL_get_verify_result(session_->ssl) != X509_V_OK) return {};
    BIO* text = BIO_new(BIO_s_mem());
    if (text == nullptr) return {};
    // Control characters and whatever is not ASCII are escaped: the text is to be a field's value.
    X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* data = nullptr;
    const long size = BIO_get_mem_data(text, &data);
    std::string subject(data, static_cast<std::size_t>(std::max(size, 0L)));
    BIO_free(text);
    return subject;
}

std::string_view Transport::version() const {
    return SSL_get_version(session_->ssl);
}

bool Transport::resumed() const {
    return SSL_session_reused(session_->ssl) == 1;
}

bool Transport::holds_input() const {
    return session_->pending;
}

bool Transport::holds_output() const {
    return !session_->sealed.empty();
}

net::IoResult Transport::read_records(char* data, std::size_t size) {
    Session& session = *session_;
    if (session.ending) return *session.ending;
    session.input = session.kept.view();
    std::size_t total = 0;
    net::IoResult end;
    ERR_clear_error();
    for (;;) {
        std::size_t got = 0;
        const int returned = SSL_read_ex(session.ssl, data + total, size - total, &got);
        total += got;
        if (got > 0) session.barren = 0;
        if (returned != 1) {
            end = session.result_of(returned);
            // Records without content for us may have used up a whole recv.
            if (end.status == net::IoStatus::would_block && total == 0 && socket_.readable()) continue;
            break;
        }
        if (total == size || (session.input.empty() && SSL_pending(session.ssl) == 0)) break;
    }
    if (end.status != net::IoStatus::would_block && total > 0) session.ending = end;
    session.keep_input();
    const std::size_t replied = session.records.out.size();
    const bool sent = session.send() == net::IoStatus::ok;
    session.replies = session.sealed.empty() ? 0 : session.replies + replied;
    if (session.replies > kMostReplies) session.broken = true;
    if ((!sent || session.replies > kMostReplies) && total == 0) return {net::IoStatus::failed, 0, EPIPE};
    return total > 0 ? net::IoResult{net::IoStatus::ok, total, 0} : end;
}

net::IoResult Transport::write_records(std::string_view bytes, bool last) {
    Session& session = *session_;
    if (!session.sealed.empty()) return {};
    if (session.broken) return {net::IoStatus::failed, 0, EPIPE};
    ERR_clear_error();
    std::size_t taken = 0;
    if (SSL_write_ex(session.ssl, bytes.data(), bytes.size(), &taken) != 1) {
        session.broken = true;
        session.records.out.clear();
        ERR_clear_error();
        return {net::IoStatus::failed, 0, EPIPE};
    }
    if (last) session.seal_goodbye();
    if (session.send() == net::IoStatus::failed) return {net::IoStatus::failed, 0, EPIPE};
    return {net::IoStatus::ok, bytes.size(), 0};
}

bool Transport::quiet_records() {
    socket_.note(net::kReadable);  // an event may still be on the way
    char byte = 0;
    return read_records(&byte, 1).status == net::IoStatus::would_block;
}

net::IoResult Transport::flush() {
    if (!session_ || session_->sealed.empty()) return {net::IoStatus::ok, 0, 0};
    base::Buffer& sealed = session_->sealed;
    const net::IoResult sent = socket_.write(sealed.view());
    if (sent.status != net::IoStatus::ok) return sent;
    sealed.consume(sent.size);
    if (!sealed.empty()) return {net::IoStatus::would_block, sent.size, 0};
    session_->replies = 0;
    sealed.release();
    return {net::IoStatus::ok, sent.size, 0};
}

/// close_notify, unless it was sealed before.
void Transport::Session::seal_goodbye() {
    // A second SSL_shutdown would read, and lose what it reads.
    if ((SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) != 0) return;
    ERR_clear_error();
    SSL_shutdown(ssl);
}

/// close_notify, unless nobody is there to take it.
void Transport::Session::say_goodbye() {
    if (!finished || broken || !sealed.empty()) return;
    seal_goodbye();
    static_cast<void>(send());
}

void Transport::shutdown_write() {
    if (session_) session_->say_goodbye();
    socket_.shutdown_write();
}

void Transport::close() {
    if (session_ && socket_.open()) {
        if (!session_->peer_done && !session_->ending) session_->say_goodbye();
        // OpenSSL forgets a session that ends otherwise: it may be resumed all the same.
        SSL_set_shutdown(session_->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    session_.reset();
    socket_.close();
}

void Transport::close_with_reset() {
    session_.reset();
    socket_.close_with_reset();
}

}  // namespace palier::tls
