#include "palier/admin/admin_listener.h"

#include "catch.h"
#include "net/loop_fixture.h"

#include <memory>

namespace palier::admin {
namespace {

using test::Descriptor;
using test::run_until;

/// A client on the test's own thread: the kernel connects it before the listener accepts.
class Client {
  public:
    explicit Client(const base::SocketAddress& address) {
        sockaddr_storage storage;
        const socklen_t length = address.to_sockaddr(storage);
        descriptor_ = Descriptor(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(descriptor_.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0);
    }

    void send(std::string_view bytes) const {
        REQUIRE(::send(descriptor_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    /// As much as goes, and as long as it is wanted.
    void send_some(std::string_view bytes) const {
        static_cast<void>(::send(descriptor_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }
    void half_close() const { ::shutdown(descriptor_.get(), SHUT_WR); }

    /// Takes what has come; false once the other side has ended.
    bool receive() {
        std::array<char, 65536> bytes;
        const ssize_t size = ::recv(descriptor_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (size > 0) received.append(bytes.data(), static_cast<std::size_t>(size));
        ended = ended || size == 0 || (size < 0 && errno != EAGAIN);
        return !ended;
    }
    [[nodiscard]] std::size_t count(std::string_view text) const {
        std::size_t found = 0;
        for (std::size_t at = received.find(text); at != std::string::npos; at = received.find(text, at + 1))
            ++found;
        return found;
    }

    std::string received;
    bool ended = false;

  private:
    Descriptor descriptor_;
};

struct Serving {
    explicit Serving(const char* address = "127.0.0.1:0") : Serving(config::TimeoutsConfig{}, address) {}
    explicit Serving(const config::TimeoutsConfig& timeouts, const char* address = "127.0.0.1:0")
        : listener(loop, timeouts, {{"/hello", "greets", [this] {
                                         ++asked;
                                         return Answer{.body = body};
                                     }}}) {
        REQUIRE(listener.listen(address));
    }

    [[nodiscard]] Client client() const { return Client(listener.address()); }
    [[nodiscard]] bool until_ended(Client& client) {
        return run_until(loop, [&] { return !client.receive(); });
    }
    [[nodiscard]] bool until_has(Client& client, std::string_view text, std::size_t times = 1) {
        return run_until(loop, [&] {
            client.receive();
            return client.count(text) >= times;
        });
    }
    /// All that is answered to `bytes` on a connection of its own, which the listener then ends.
    [[nodiscard]] std::string answer_to(std::string_view bytes) {
        Client client = this->client();
        client.send(bytes);
        REQUIRE(until_ended(client));
        return client.received;
    }

    net::Loop loop;
    int asked = 0;
    std::string body = "hello\n";
    AdminListener listener;
};

/// Deadlines that a test waits for; all others are too long to matter.
config::TimeoutsConfig deadlines(int header_ms, int idle_ms = 60'000, int write_ms = 60'000) {
    config::TimeoutsConfig timeouts;
    timeouts.client_header = config::Duration(header_ms);
    timeouts.client_idle = config::Duration(idle_ms);
    timeouts.client_write = config::Duration(write_ms);
    return timeouts;
}

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kLastHello = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

TEST_CASE("a page is answered, whatever its query, and never to be cached") {
    Serving serving;
    const std::string answer =
        serving.answer_to("GET /hello?a=/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(answer.find("\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n") !=
          std::string::npos);
    CHECK(answer.find("\r\nCache-Control: no-store\r\n") != std::string::npos);
    CHECK(answer.find("\r\nDate: ") != std::string::npos);
    CHECK(answer.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(answer.ends_with("\r\n\r\nhello\n"));
}

TEST_CASE("it serves IPv6 as well") {
    Serving serving("[::1]:0");
    CHECK(serving.answer_to(kLastHello).ends_with("hello\n"));
}

TEST_CASE("HEAD gets the head of GET") {
    Serving serving;
    const std::string answer =
        serving.answer_to("HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(answer.find("\r\nContent-Length: 6\r\n") != std::string::npos);
    CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("a request cut anywhere gets the same answer") {
    Serving serving;
    for (std::size_t cut = 1; cut < kLastHello.size(); ++cut) {
        Client client = serving.client();
        client.send(kLastHello.substr(0, cut));
        serving.loop.run_once(0);
        serving.loop.run_once(0);
        client.send(kLastHello.substr(cut));
        REQUIRE(serving.until_ended(client));
        CHECK(client.received.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

TEST_CASE("requests follow each other on a connection, also those that came together") {
    Serving serving;
    Client client = serving.client();
    client.send(kHello);
    REQUIRE(serving.until_has(client, "hello\n"));
    std::string many;
    for (int i = 0; i < 500; ++i)
        many += kHello;
    client.send(many);
    REQUIRE(serving.until_has(client, "hello\n", 501));
    CHECK(serving.asked == 501);
    CHECK(client.count("Connection: close") == 0);
}

TEST_CASE("one connection's requests leave the loop to others") {
    Serving serving;
    Client greedy = serving.client();
    serving.loop.run_once(0);
    std::string many;
    for (int i = 0; i < 50; ++i)
        many += kHello;
    greedy.send(many);
    serving.loop.run_once(100);
    CHECK(serving.asked == 1);
    serving.loop.run_once(0);
    CHECK(serving.asked == 2);
}

TEST_CASE("a client that has no more to say still gets its answers") {
    Serving serving;
    Client client = serving.client();
    client.send(kHello);
    client.send(kHello);
    client.half_close();
    REQUIRE(serving.until_ended(client));
    CHECK(client.count("hello\n") == 2);
    CHECK(run_until(serving.loop, [&] { return serving.listener.connections() == 0; }));
}

TEST_CASE("what is not there is 404, with all that there is") {
    Serving serving;
    const std::string answer =
        serving.answer_to("GET /hello/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(answer.starts_with("HTTP/1.1 404 Not Found\r\n"));
    CHECK(answer.ends_with("\r\n\r\nThere is nothing here. There is:\n/hello  greets\n"));
    CHECK(serving.asked == 0);
}

TEST_CASE("methods other than GET and HEAD are 405, and a body ends the connection") {
    Serving serving;
    for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"}) {
        const std::string answer =
            serving.answer_to(method + " /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        CHECK(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
        CHECK(answer.find("\r\nAllow: GET, HEAD\r\n") != std::string::npos);
    }
    CHECK(serving.answer_to("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n").find("\r\nAllow: GET, HEAD\r\n") !=
          std::string::npos);
    const std::string smuggled = serving.answer_to(
        "GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 34\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(smuggled.ends_with("hello\n"));
    CHECK(serving.asked == 1);
}

TEST_CASE("HTTP/1.0 gets one answer") {
    Serving serving;
    const std::string answer = serving.answer_to("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(answer.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(answer.ends_with("hello\n"));
}

TEST_CASE("what is no request, or ambiguous, is refused and the connection ended") {
    Serving serving;
    const auto status = [&](std::string_view bytes) { return serving.answer_to(bytes).substr(9, 3); };
    CHECK(status("\x16\x03\x01\x02\r\n\r\n") == "400");
    CHECK(status("GET /hello HTTP/1.1\r\n\r\n") == "400");
    CHECK(status("GET /hello HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n") == "400");
    CHECK(
        status("GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        "400");
    CHECK(status("GET /hello HTTP/1.1\r\nHost: x\r\nA: " + std::string(9'000, 'a')) == "431");
    CHECK(status(std::string(100'000, 'x')) != "200");
    CHECK(serving.asked == 0);
}

TEST_CASE("a head that comes slowly is cut by its deadline, however steadily it comes") {
    Serving serving(deadlines(100));
    Client client = serving.client();
    const std::uint64_t began = base::monotonic_ms();
    client.send("GET /");
    std::uint64_t next = began;
    REQUIRE(run_until(serving.loop, [&] {
        if (client.received.empty() && base::monotonic_ms() > next) {
            client.send("a");
            next = base::monotonic_ms();
        }
        return !client.receive();
    }));
    CHECK(client.received.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    CHECK(base::monotonic_ms() - began >= 100);
}

TEST_CASE("a client that says nothing is closed: soon at first, later between requests") {
    Serving serving(deadlines(500, 1'500));
    Client silent = serving.client();
    Client idle = serving.client();
    const std::uint64_t began = base::monotonic_ms();
    idle.send(kHello);
    REQUIRE(serving.until_has(idle, "hello\n"));
    REQUIRE(serving.until_ended(silent));
    CHECK(silent.received.empty());
    CHECK(idle.receive());
    REQUIRE(serving.until_ended(idle));
    CHECK(base::monotonic_ms() - began >= 1'500);
}

TEST_CASE("a client that does not read is cut") {
    Serving serving(deadlines(60'000, 60'000, 100));
    serving.body.assign(16 * 1024 * 1024, 'a');
    Client stalled = serving.client();
    stalled.send(kLastHello);
    REQUIRE(
        run_until(serving.loop, [&] { return serving.asked == 1 && serving.listener.connections() == 0; }));
    REQUIRE(serving.until_ended(stalled));
    CHECK(stalled.received.size() < serving.body.size());
}

TEST_CASE("a client that reads slowly is not cut") {
    constexpr std::uint64_t kReadForMs = 3'000;  // twice as long as it may make no progress
    Serving serving(deadlines(60'000, 60'000, 1'500));
    serving.body.assign(16 * 1024 * 1024, 'a');
    Client slow = serving.client();
    slow.send(kLastHello);
    const std::uint64_t began = base::monotonic_ms();
    REQUIRE(run_until(serving.loop, [&] {
        const std::uint64_t due = serving.body.size() * (base::monotonic_ms() - began) / kReadForMs;
        while (slow.received.size() < due) {
            const std::size_t before = slow.received.size();
            if (!slow.receive() || slow.received.size() == before) break;
        }
        return slow.ended;
    }));
    CHECK(slow.received.size() > serving.body.size());
}

TEST_CASE("the end does not wait for a client that goes on talking") {
    Serving serving;
    Client client = serving.client();
    client.send("nonsense\r\n\r\n");
    REQUIRE(serving.until_ended(client));
    CHECK(client.received.starts_with("HTTP/1.1 400 "));
    const std::string more(64 * 1024, 'x');
    REQUIRE(run_until(serving.loop, [&] {
        client.send_some(more);
        return serving.listener.connections() == 0;
    }));
}

TEST_CASE("beyond its connections a newcomer displaces whoever did nothing for longest") {
    Serving serving;
    std::vector<std::unique_ptr<Client>> clients;
    const auto connect = [&] { clients.push_back(std::make_unique<Client>(serving.listener.address())); };
    for (std::size_t i = 0; i < AdminListener::kMostConnections; ++i)
        connect();
    REQUIRE(run_until(serving.loop,
                      [&] { return serving.listener.connections() == AdminListener::kMostConnections; }));
    clients[0]->send("GET /");
    for (int turn = 0; turn < 5; ++turn)
        serving.loop.run_once(0);
    connect();
    REQUIRE(serving.until_ended(*clients[1]));
    CHECK(clients[1]->received.empty());
    CHECK(clients[0]->receive());
    CHECK(clients[2]->receive());
    clients.back()->send(kLastHello);
    REQUIRE(serving.until_has(*clients.back(), "hello\n"));
}

TEST_CASE("a newcomer displaces one that was served before one that was not") {
    Serving serving;
    std::vector<std::unique_ptr<Client>> clients;
    const auto connect = [&] { clients.push_back(std::make_unique<Client>(serving.listener.address())); };
    connect();  // has waited for longest, and asked for nothing yet
    REQUIRE(run_until(serving.loop, [&] { return serving.listener.connections() == 1; }));
    connect();
    clients[1]->send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(serving.until_has(*clients[1], "hello\n"));
    while (clients.size() < AdminListener::kMostConnections)
        connect();
    REQUIRE(run_until(serving.loop,
                      [&] { return serving.listener.connections() == AdminListener::kMostConnections; }));
    connect();
    REQUIRE(serving.until_ended(*clients[1]));
    clients[0]->send(kLastHello);
    REQUIRE(serving.until_has(*clients[0], "hello\n"));
}

TEST_CASE("an address that is taken or none is an error that names the key") {
    Serving serving;
    AdminListener other(serving.loop, {}, {});
    const std::string taken = serving.listener.address().to_string();
    CHECK(other.listen(taken).error().message == "admin: listen on " + taken + ": Address already in use");
    CHECK(other.listen("localhost").error().message.starts_with("admin: "));
}

TEST_CASE("another palier takes the socket, and clients are told to go there") {
    Serving old;
    Client known = old.client();
    known.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(old.until_has(known, "200 OK"));
    Serving next;
    next.listener.adopt(::fcntl(old.listener.descriptor(), F_DUPFD_CLOEXEC, 0));
    old.listener.hand_over();
    CHECK(old.listener.descriptor() == -1);
    CHECK(next.listener.address().port() == old.listener.address().port());

    known.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(old.until_ended(known));
    CHECK(known.count("200 OK") == 2);
    CHECK(known.count("Connection: close") == 1);
    Client again(old.listener.address());
    again.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(next.until_has(again, "200 OK"));
    CHECK(next.asked == 1);
}

}  // namespace
}  // namespace palier::admin
