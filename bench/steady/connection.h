/*
 * What `steady` sends its requests over: connections that stay open, HTTP/1.1 in the clear or HTTP/2 over
 * TLS 1.3, with as much of either protocol as it takes to know that an answer is whole and right.
 * One thread. The program owns them all for as long as it runs.
 */
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

using Clock = std::chrono::steady_clock;

[[noreturn]] inline void fail(const char* what) {
    std::perror(what);
    ERR_print_errors_fp(stderr);
    std::exit(1);
}

struct Request {
    Clock::time_point due;   // when it should have been sent
    Clock::time_point seen;  // when the generator had time for it
};

// A request that was answered rightly, or all that a broken connection will never answer.
struct Outcome {
    std::vector<Request> answered;
    std::size_t lost = 0;
};

class Connection {
  public:
    Connection(std::uint16_t port, std::size_t places, std::size_t body_size)
        : places_(places), body_size_(body_size), fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        if (fd_ < 0) fail("socket");
        const int on = 1;
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    virtual ~Connection() { close(fd_); }

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] bool has_room() const { return !broken_ && open() < places_; }
    [[nodiscard]] virtual std::size_t open() const = 0;

    virtual void send_request(Request request) = 0;

    // Reads all that there is. What it cannot understand breaks the connection.
    void advance(Outcome& outcome) {
        if (broken_) return;
        bool ended = false;
        char bytes[16384];
        for (long size; !ended && (size = receive(bytes, sizeof bytes)) != kNothingYet;) {
            if (size > 0)
                received_.append(bytes, static_cast<std::size_t>(size));
            else
                ended = true;
        }
        if (parse(outcome) && !ended) return;
        broken_ = true;
        outcome.lost += open();
    }

  protected:
    static constexpr long kNothingYet = -1;

    void make_nonblocking() const {
        if (fcntl(fd_, F_SETFL, O_NONBLOCK) != 0) fail("fcntl");
    }

    // Bytes, 0 at the end or after an error, or kNothingYet.
    [[nodiscard]] virtual long receive(char* to, std::size_t room) = 0;
    // Takes the whole answers from received_. False: they are not what they should be.
    [[nodiscard]] virtual bool parse(Outcome& outcome) = 0;

    const std::size_t places_, body_size_;
    std::string received_;

  private:
    const int fd_;
    bool broken_ = false;
};

class Http1Connection : public Connection {
  public:
    Http1Connection(std::uint16_t port, std::string_view request, std::size_t body_size)
        : Connection(port, 1, body_size), request_(request) {
        make_nonblocking();
    }

    [[nodiscard]] std::size_t open() const override { return waiting_ ? 1 : 0; }

    void send_request(Request request) override {
        open_ = request;
        waiting_ = true;
        // A socket with nothing in it takes a small request whole; if it is broken, the end will be seen.
        if (send(fd(), request_.data(), request_.size(), MSG_NOSIGNAL) < 0 && errno == EAGAIN) fail("send");
    }

  private:
    long receive(char* to, std::size_t room) override {
        const ssize_t size = recv(fd(), to, room, 0);
        if (size < 0) return errno == EAGAIN ? kNothingYet : 0;
        return size;
    }

    bool parse(Outcome& outcome) override {
        if (received_.empty()) return true;
        if (!waiting_) return false;
        const std::size_t head = received_.find("\r\n\r\n");
        if (head == std::string::npos || received_.size() < head + 4 + body_size_) return true;
        if (!received_.starts_with("HTTP/1.1 200 ") || received_.size() > head + 4 + body_size_) return false;
        received_.clear();
        waiting_ = false;
        outcome.answered.push_back(open_);
        return true;
    }

    const std::string_view request_;
    Request open_;
    bool waiting_ = false;
};

class Http2Connection : public Connection {
  public:
    Http2Connection(std::uint16_t port, SSL_CTX* context, std::string_view path, std::size_t streams,
                    std::size_t body_size)
        : Connection(port, streams, body_size), tls_(SSL_new(context)) {
        if (tls_ == nullptr || SSL_set_fd(tls_, fd()) != 1 ||
            SSL_set_tlsext_host_name(tls_, "bench.test") != 1 || SSL_connect(tls_) != 1)
            fail("TLS");
        const unsigned char* protocol = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(tls_, &protocol, &size);
        if (std::string_view(reinterpret_cast<const char*>(protocol), size) != "h2") fail("no HTTP/2");
        // :method GET and :scheme https of the static table, :path and :authority as literals (RFC 7541,
        // 6.2.2).
        head_ = "\x82\x87" + literal(4, path) + literal(1, "shop.example.com");
        // No window will ever be used up: there are never so many bytes.
        send_bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, "") +
                   frame(kWindowUpdate, 0, 0, number(0x7fffffff - 65535)));
        make_nonblocking();
    }
    ~Http2Connection() override { SSL_free(tls_); }

    [[nodiscard]] std::size_t open() const override { return streams_.size(); }

    void send_request(Request request) override {
        next_id_ += 2;
        streams_.push_back({.id = next_id_, .request = request});
        send_bytes(frame(kHeaders, kEndStream | kEndHeaders, next_id_, head_));
    }

  private:
    enum Kind : unsigned char { kData, kHeaders, kReset = 3, kSettings, kPing = 6, kGoaway, kWindowUpdate };
    enum Flag : unsigned char {
        kAck = 0x1,
        kEndStream = 0x1,
        kEndHeaders = 0x4,
        kPadded = 0x8,
        kPriority = 0x20
    };
    static constexpr std::size_t kFrameHead = 9;

    struct Stream {
        std::uint32_t id;
        Request request;
        bool ok = false;  // its head said 200
        std::size_t body = 0;
    };

    static std::string number(std::uint32_t value) {
        std::string bytes;
        for (int shift = 24; shift >= 0; shift -= 8)
            bytes.push_back(static_cast<char>(value >> shift));
        return bytes;
    }

    static std::string literal(char name, std::string_view value) {
        return std::string{name, static_cast<char>(value.size())}.append(value);
    }

    static std::string frame(Kind kind, int flags, std::uint32_t stream, std::string_view payload) {
        std::string bytes = number(static_cast<std::uint32_t>(payload.size())).substr(1);
        bytes.push_back(static_cast<char>(kind));
        bytes.push_back(static_cast<char>(flags));
        return bytes.append(number(stream)).append(payload);
    }

    void send_bytes(std::string_view bytes) {
        ERR_clear_error();
        const int sent = SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()));
        // Only a proxy that does not read for long fills a socket with requests of this size.
        if (sent <= 0 && SSL_get_error(tls_, sent) == SSL_ERROR_WANT_WRITE) fail("send");
    }

    long receive(char* to, std::size_t room) override {
        ERR_clear_error();
        const int size = SSL_read(tls_, to, static_cast<int>(room));
        if (size > 0) return size;
        return SSL_get_error(tls_, size) == SSL_ERROR_WANT_READ ? kNothingYet : 0;
    }

    bool parse(Outcome& outcome) override {
        std::string_view rest = received_;
        while (rest.size() >= kFrameHead) {
            const auto byte = [&](std::size_t at) {
                return static_cast<std::uint32_t>(static_cast<unsigned char>(rest[at]));
            };
            const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
            if (rest.size() < kFrameHead + size) break;
            const std::uint32_t id = (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fffffff;
            if (!take(static_cast<unsigned char>(rest[3]), byte(4), id, rest.substr(kFrameHead, size),
                      outcome))
                return false;
            rest.remove_prefix(kFrameHead + size);
        }
        received_.erase(0, received_.size() - rest.size());
        return true;
    }

    bool take(unsigned kind, unsigned flags, std::uint32_t id, std::string_view payload, Outcome& outcome) {
        if (kind == kReset || kind == kGoaway) return false;
        if (kind == kSettings && (flags & kAck) == 0) send_bytes(frame(kSettings, kAck, 0, ""));
        if (kind == kPing && (flags & kAck) == 0) send_bytes(frame(kPing, kAck, 0, payload));
        if (kind != kHeaders && kind != kData) return true;

        const auto stream = std::ranges::find(streams_, id, &Stream::id);
        if (stream == streams_.end()) return false;
        if ((flags & kPadded) != 0) {
            const std::size_t padding = payload.empty() ? 0 : static_cast<unsigned char>(payload[0]);
            if (payload.size() < 1 + padding) return false;
            payload = payload.substr(1, payload.size() - 1 - padding);
        }
        if (kind == kData)
            stream->body += payload.size();
        else if ((flags & kPriority) != 0 || !is_ok(payload))
            return false;
        else
            stream->ok = true;
        if ((flags & kEndStream) == 0) return true;
        if (!stream->ok || stream->body != body_size_) return false;
        outcome.answered.push_back(stream->request);
        *stream = streams_.back();
        streams_.pop_back();
        return true;
    }

    // Whether the head begins with :status 200 of the static table, as every server sends it, after changes
    // of the dynamic table's size (RFC 7541, 6.3).
    static bool is_ok(std::string_view head) {
        std::size_t at = 0;
        while (at < head.size() && (static_cast<unsigned char>(head[at]) & 0xe0) == 0x20) {
            bool more = (static_cast<unsigned char>(head[at++]) & 0x1f) == 0x1f;
            while (more && at < head.size())
                more = (static_cast<unsigned char>(head[at++]) & 0x80) != 0;
        }
        return at < head.size() && head[at] == '\x88';
    }

    SSL* const tls_;
    std::string head_;
    std::uint32_t next_id_ = static_cast<std::uint32_t>(-1);  // streams of clients have odd numbers
    std::vector<Stream> streams_;
};
