/*
 * The load of the latency rows: requests at a constant rate, on connections that stay open, on one thread.
 *
 * usage: steady PORT SECONDS RATE CONNECTIONS STREAMS REQUEST_FILE BODY_SIZE TIMES_FILE
 *
 * STREAMS 0: HTTP/1.1 in the clear, one request at a time on each connection. Otherwise HTTP/2 over TLS 1.3,
 * with at most so many at a time on each; of the request only its path is used.
 *
 * The n-th request is due n / RATE seconds after the start, whether those before it have been answered or
 * not, and its time counts from then: a proxy that stalls is charged with all the requests that wait
 * meanwhile, also where they wait for a connection with room. TIMES_FILE gets two 64-bit numbers for each
 * answer: the nanoseconds from when the request was due to the end of its answer, and those to when this
 * program had time for it. The last line of the output is a count in JSON.
 */
#include "connection.h"

#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>

#include <sys/epoll.h>
#include <sys/prctl.h>

namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 10s;  // for answers that are missing when the last request has been sent

struct Options {
    std::uint16_t port;
    long seconds, rate;
    std::size_t connections, streams;
    std::string request;
    std::size_t body_size;
    const char* times;
};

SSL_CTX* make_context() {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());  // lives as long as the program
    if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519") != 1 ||
        SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>("\2h2"), 3) != 0)
        fail("TLS");
    return context;
}

class Generator {
  public:
    explicit Generator(const Options& options) : options_(options), poller_(epoll_create1(EPOLL_CLOEXEC)) {
        if (poller_ < 0) fail("epoll_create1");
        SSL_CTX* context = options.streams > 0 ? make_context() : nullptr;
        for (std::size_t i = 0; i < options.connections; ++i) {
            connections_.push_back(make_connection(context));
            epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                              .data = {.ptr = connections_.back().get()}};
            if (epoll_ctl(poller_, EPOLL_CTL_ADD, connections_.back()->fd(), &event) != 0) fail("epoll_ctl");
        }
    }
    Generator(const Generator&) = delete;
    Generator& operator=(const Generator&) = delete;
    ~Generator() { close(poller_); }

    void run() {
        began_ = Clock::now();
        const long total = options_.rate * options_.seconds;
        const Clock::time_point end = due(total) + kPatience;
        long asked = 0;
        for (Clock::time_point now = began_; lost() == 0 && answers() < total && now < end;
             now = Clock::now()) {
            while (asked < total && due(asked) <= now)
                waiting_.push_back({.due = due(asked++), .seen = now});
            while (!waiting_.empty() && send_next()) {
            }
            wait(asked < total ? due(asked) : end);
        }
        if (lost() == 0) missing_ = total - answers();
        took_ = Clock::now() - began_;
    }

    void print() const {
        const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(took_).count();
        std::printf(
            "summary "
            "{\"requests\":%ld,\"bytes\":%llu,\"microseconds\":%lld,\"errors\":{\"answer\":%ld,\"timeout\":%"
            "ld}}\n",
            answers(), static_cast<unsigned long long>(outcome_.answered.size() * options_.body_size),
            static_cast<long long>(microseconds), lost(), missing_);
    }

    void write_times() const {
        std::ofstream file(options_.times, std::ios::binary);
        file.write(reinterpret_cast<const char*>(times_.data()),
                   static_cast<std::streamsize>(times_.size() * sizeof times_[0]));
        if (!file.flush()) fail(options_.times);
    }

  private:
    [[nodiscard]] std::unique_ptr<Connection> make_connection(SSL_CTX* context) const {
        if (options_.streams == 0)
            return std::make_unique<Http1Connection>(options_.port, options_.request, options_.body_size);
        const std::string_view request = options_.request;
        const std::size_t path = request.find(' ') + 1;
        return std::make_unique<Http2Connection>(options_.port, context,
                                                 request.substr(path, request.find(' ', path) - path),
                                                 options_.streams, options_.body_size);
    }

    [[nodiscard]] Clock::time_point due(long number) const {
        return began_ + std::chrono::nanoseconds(number * 1'000'000'000 / options_.rate);
    }
    [[nodiscard]] long answers() const { return static_cast<long>(outcome_.answered.size()); }
    [[nodiscard]] long lost() const { return static_cast<long>(outcome_.lost); }

    // On the next connection, in turn, that has room; false: there is none.
    bool send_next() {
        for (std::size_t i = 0; i < connections_.size(); ++i) {
            Connection& connection = *connections_[turn_];
            turn_ = (turn_ + 1) % connections_.size();
            if (!connection.has_room()) continue;
            connection.send_request(waiting_.front());
            waiting_.pop_front();
            return true;
        }
        return false;
    }

    // Until the time, or until answers have come and been taken.
    void wait(Clock::time_point until) {
        const auto left = std::max(Clock::duration::zero(), until - Clock::now());
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
        epoll_event events[64];
        const int ready = epoll_pwait2(poller_, events, 64, &timeout, nullptr);
        for (int i = 0; i < ready; ++i) {
            const std::size_t before = outcome_.answered.size();
            static_cast<Connection*>(events[i].data.ptr)->advance(outcome_);
            const Clock::time_point now = Clock::now();
            for (std::size_t n = before; n < outcome_.answered.size(); ++n) {
                const Request& request = outcome_.answered[n];
                times_.push_back((now - request.due).count());
                times_.push_back((request.seen - request.due).count());
            }
        }
    }

    const Options& options_;
    const int poller_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::size_t turn_ = 0;
    Clock::time_point began_;
    Clock::duration took_{};
    std::deque<Request> waiting_;  // requests that are due and not yet sent
    Outcome outcome_;
    long missing_ = 0;
    std::vector<std::int64_t> times_;
};

Options parse(char** argv) {
    std::ifstream file(argv[6], std::ios::binary);
    Options options{.port = static_cast<std::uint16_t>(std::atoi(argv[1])),
                    .seconds = std::atol(argv[2]),
                    .rate = std::atol(argv[3]),
                    .connections = static_cast<std::size_t>(std::atol(argv[4])),
                    .streams = static_cast<std::size_t>(std::atol(argv[5])),
                    .request = {std::istreambuf_iterator<char>(file), {}},
                    .body_size = static_cast<std::size_t>(std::atoll(argv[7])),
                    .times = argv[8]};
    if (options.request.empty()) fail(argv[6]);
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 9) {
        std::fprintf(
            stderr,
            "usage: steady PORT SECONDS RATE CONNECTIONS STREAMS REQUEST_FILE BODY_SIZE TIMES_FILE\n");
        return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1);  // the kernel would let it sleep 50 µs longer than it asked for
    const Options options = parse(argv);
    if (options.rate < 1 || options.seconds < 1 || options.connections < 1) {
        std::fprintf(stderr, "steady: a rate, seconds and connections, each at least 1\n");
        return 2;
    }
    Generator generator(options);
    generator.run();
    generator.print();
    generator.write_times();
}
