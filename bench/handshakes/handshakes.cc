/*
 * The load of the handshake rows: connections over TLS 1.3, each with one request, some at a time on one
 * thread.
 *
 * usage: handshakes PORT SECONDS CONNECTIONS full|resumed REQUEST_FILE BODY_SIZE
 *
 * The request must ask for the connection to be closed. `full`: no session is ever offered. `resumed`: a
 * first connection fetches a ticket, and each one after it offers the newest ticket that was received.
 * Connections that are under way when time is up are finished and counted. The last line of the output is a
 * count in JSON.
 */
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr char kServerName[] = "bench.test";
constexpr auto kPatience = 10s;    // for connections that are under way when time is up
constexpr long kErrorLimit = 100;  // a proxy that fails so often is not worth more attempts

template <auto kFree>
struct Freed {
    template <typename T>
    void operator()(T* owned) const {
        kFree(owned);
    }
};
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL_SESSION, Freed<SSL_SESSION_free>>;
using Tls = std::unique_ptr<SSL, Freed<SSL_free>>;

struct Options {
    std::uint16_t port;
    std::chrono::seconds seconds;
    std::size_t connections;
    bool resumed;
    std::string request;
    std::size_t body_size;
};

struct Count {
    long requests = 0, resumed = 0, connect = 0, handshake = 0, answer = 0, timeout = 0;
    std::uint64_t bytes = 0;
    std::vector<std::uint32_t> latencies;  // µs from the start of a connection to its end

    [[nodiscard]] long errors() const { return connect + handshake + answer + timeout; }
};

struct Connection {
    int fd = -1;
    Tls tls;
    bool sent = false;
    Clock::time_point began;
    std::string received;
};

Session newest_session;  // of the latest ticket; also told to OpenSSL's callback, which has no other way here

int keep_session(SSL*, SSL_SESSION* session) {
    newest_session.reset(session);
    return 1;  // the reference is ours now
}

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    ERR_print_errors_fp(stderr);
    std::exit(1);
}

Context make_context(bool resumed) {
    Context context(SSL_CTX_new(TLS_client_method()));
    if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context.get(), "X25519") != 1)
        fail("TLS");
    // Verifying chains would only make the client slower than the proxy.
    SSL_CTX_set_cert_verify_callback(
        context.get(), [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    SSL_CTX_set_quiet_shutdown(context.get(), 1);
    SSL_CTX_set_options(context.get(),
                        SSL_OP_IGNORE_UNEXPECTED_EOF);  // an answer's length is checked instead
    if (resumed) {
        SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context.get(), keep_session);
    }
    return context;
}

class Client {
  public:
    explicit Client(const Options& options)
        : options_(options), context_(make_context(options.resumed)), poller_(epoll_create1(EPOLL_CLOEXEC)) {
        if (poller_ < 0) fail("epoll_create1");
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { close(poller_); }

    // Keeps `connections` of them going until `end`, or makes just one each if `once`; returns when all are
    // done.
    void run(std::size_t connections, Clock::time_point end, bool once) {
        end_ = end;
        once_ = once;
        std::vector<Connection> all(connections);
        for (Connection& connection : all)
            begin(connection);
        while (active_ > 0) {
            epoll_event events[64];
            const int ready = epoll_wait(poller_, events, 64, 100);
            for (int i = 0; i < ready; ++i)
                advance(*static_cast<Connection*>(events[i].data.ptr));
            if (Clock::now() > end + kPatience) {
                count_.timeout += static_cast<long>(active_);
                break;
            }
        }
        for (Connection& connection : all)
            if (connection.fd >= 0) release(connection);
    }

    [[nodiscard]] Count& count() { return count_; }

  private:
    void begin(Connection& connection) {
        connection.began = Clock::now();
        connection.sent = false;
        connection.received.clear();
        connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connection.fd < 0) fail("socket");
        const int on = 1;
        setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options_.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connection.tls.reset(SSL_new(context_.get()));
        SSL* tls = connection.tls.get();
        if (tls == nullptr || SSL_set_fd(tls, connection.fd) != 1 ||
            SSL_set_tlsext_host_name(tls, kServerName) != 1)
            fail("TLS");
        if (newest_session != nullptr) {
            // A copy: OpenSSL's clients give up a session of TLS 1.3 once it has been resumed.
            const Session offered(SSL_SESSION_dup(newest_session.get()));
            if (offered == nullptr || SSL_set_session(tls, offered.get()) != 1) fail("session");
        }
        SSL_set_connect_state(tls);
        ++active_;
        const int status = connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
        if (status != 0 && errno != EINPROGRESS) return finish(connection, &Count::connect);
        epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &connection}};
        if (epoll_ctl(poller_, EPOLL_CTL_ADD, connection.fd, &event) != 0) fail("epoll_ctl");
    }

    // As far as it goes without waiting.
    void advance(Connection& connection) {
        SSL* tls = connection.tls.get();
        ERR_clear_error();
        if (!SSL_is_init_finished(tls)) {
            if (const int status = SSL_do_handshake(tls); status != 1) return suspend(connection, status);
        }
        if (!connection.sent) {
            const int size = static_cast<int>(options_.request.size());
            if (const int status = SSL_write(tls, options_.request.data(), size); status <= 0)
                return suspend(connection, status);
            connection.sent = true;
        }
        for (;;) {
            char buffer[16384];
            const int size = SSL_read(tls, buffer, sizeof buffer);
            if (size <= 0) return suspend(connection, size);
            connection.received.append(buffer, static_cast<std::size_t>(size));
        }
    }

    // After a call that could not go on: waits, or ends the connection.
    void suspend(Connection& connection, int status) {
        SSL* tls = connection.tls.get();
        const int why = SSL_get_error(tls, status);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return;
        if (!SSL_is_init_finished(tls)) return finish(connection, &Count::handshake);
        if (why != SSL_ERROR_ZERO_RETURN || !is_right(connection.received))
            return finish(connection, &Count::answer);
        using std::chrono::duration_cast;
        const auto spent = duration_cast<std::chrono::microseconds>(Clock::now() - connection.began);
        count_.latencies.push_back(static_cast<std::uint32_t>(spent.count()));
        count_.bytes += connection.received.size();
        count_.resumed += SSL_session_reused(tls);
        finish(connection, &Count::requests);
    }

    [[nodiscard]] bool is_right(std::string_view answer) const {
        const std::size_t head = answer.find("\r\n\r\n");
        return answer.starts_with("HTTP/1.1 200 ") && head != std::string_view::npos &&
               answer.size() - head - 4 == options_.body_size;
    }

    void finish(Connection& connection, long Count::*outcome) {
        ++(count_.*outcome);
        if (outcome != &Count::requests && count_.errors() == 1) ERR_print_errors_fp(stderr);
        release(connection);
        --active_;
        if (!once_ && count_.errors() < kErrorLimit && Clock::now() < end_) begin(connection);
    }

    static void release(Connection& connection) {
        SSL_shutdown(connection.tls.get());  // quiet: it only says that the session may be resumed
        connection.tls.reset();
        close(connection.fd);
        connection.fd = -1;
    }

    const Options& options_;
    Context context_;
    int poller_;
    Clock::time_point end_;
    bool once_ = false;
    std::size_t active_ = 0;
    Count count_;
};

std::uint32_t percentile(std::vector<std::uint32_t>& latencies, std::size_t percent) {
    if (latencies.empty()) return 0;
    const auto at =
        static_cast<std::ptrdiff_t>(std::min(latencies.size() * percent / 100, latencies.size() - 1));
    std::ranges::nth_element(latencies, latencies.begin() + at);
    return latencies[static_cast<std::size_t>(at)];
}

void print(Count& count, Clock::duration spent) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(spent).count();
    std::printf(
        "summary "
        "{\"requests\":%ld,\"resumed\":%ld,\"bytes\":%llu,\"microseconds\":%lld,\"p50\":%u,\"p99\":%u,"
        "\"errors\":{\"connect\":%ld,\"handshake\":%ld,\"answer\":%ld,\"timeout\":%ld}}\n",
        count.requests, count.resumed, static_cast<unsigned long long>(count.bytes),
        static_cast<long long>(microseconds), percentile(count.latencies, 50),
        percentile(count.latencies, 99), count.connect, count.handshake, count.answer, count.timeout);
}

Options parse(char** argv) {
    std::ifstream file(argv[5], std::ios::binary);
    Options options{.port = static_cast<std::uint16_t>(std::atoi(argv[1])),
                    .seconds = std::chrono::seconds(std::atoi(argv[2])),
                    .connections = static_cast<std::size_t>(std::atoi(argv[3])),
                    .resumed = std::strcmp(argv[4], "resumed") == 0,
                    .request = {std::istreambuf_iterator<char>(file), {}},
                    .body_size = static_cast<std::size_t>(std::atoll(argv[6]))};
    if (options.request.empty()) fail(argv[5]);
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::fprintf(stderr,
                     "usage: handshakes PORT SECONDS CONNECTIONS full|resumed REQUEST_FILE BODY_SIZE\n");
        return 2;
    }
    const Options options = parse(argv);
    Client client(options);
    const auto began = Clock::now();
    if (options.resumed) {
        client.run(1, began, true);
        if (newest_session == nullptr) std::fprintf(stderr, "the first connection brought no ticket\n");
    }
    client.run(options.connections, began + options.seconds, false);
    print(client.count(), Clock::now() - began);
}
