#include "palier/demo/front.h"

#include "catch.h"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <unistd.h>

namespace palier::demo {
namespace {

/// Runs the loop until `done` or for five seconds.
bool run_until(net::Loop& loop, const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) return false;
        loop.run_once(10);
    }
    return true;
}

/// A client on the test's own thread: the kernel connects it before the front accepts.
class Client {
  public:
    Client(net::Loop& loop, std::uint16_t port)
        : loop_(loop), descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const base::SocketAddress address(*base::IpAddress::parse("127.0.0.1"), port);
        sockaddr_storage storage;
        const socklen_t length = address.to_sockaddr(storage);
        connected_ = ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&storage), length) == 0;
    }
    ~Client() { ::close(descriptor_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool connected() const { return connected_; }

    void send(std::string_view bytes) {
        REQUIRE(::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    /// Everything up to and including `mark`.
    std::string receive_until(std::string_view mark) {
        REQUIRE(run_until(loop_, [&] {
            receive();
            return received_.find(mark) != std::string::npos;
        }));
        const std::size_t end = received_.find(mark) + mark.size();
        std::string taken = received_.substr(0, end);
        received_.erase(0, end);
        return taken;
    }
    std::string receive_bytes(std::size_t size) {
        REQUIRE(run_until(loop_, [&] {
            receive();
            return received_.size() >= size;
        }));
        std::string taken = received_.substr(0, size);
        received_.erase(0, size);
        return taken;
    }
    bool sees_end() {
        return run_until(loop_, [&] {
            receive();
            return ended_;
        });
    }
    [[nodiscard]] bool was_reset() const { return reset_; }

  private:
    void receive() {
        char bytes[65536];
        const ssize_t size = ::recv(descriptor_, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size > 0) received_.append(bytes, static_cast<std::size_t>(size));
        if (size < 0 && errno == ECONNRESET) reset_ = true;
        if (size == 0 || reset_) ended_ = true;
    }

    net::Loop& loop_;
    int descriptor_;
    bool connected_ = false;
    bool ended_ = false;
    bool reset_ = false;
    std::string received_;
};

struct Started {
    net::Loop loop;
    Front front{loop, "front1", 3};

    Started() { REQUIRE(front.listen()); }
};

TEST_CASE("a front counts the requests of one connection, pipelined ones too") {
    Started it;
    Client client(it.loop, it.front.port());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(client.receive_until("Host: a\n") == "front1 · request 1\n\nGET /\nHost: a\n");
    CHECK(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(client.receive_until("Host: a\n") == "front1 · request 2\n\nGET /two\nHost: a\n");
    CHECK(it.front.requests() == 2);
}

TEST_CASE("a request may come byte by byte, with a chunked body") {
    Started it;
    Client client(it.loop, it.front.port());
    for (const char byte :
         std::string_view("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")) {
        client.send({&byte, 1});
        it.loop.run_once(0);
    }
    CHECK(client.receive_until("11 bytes of body\n").find("POST /up\n") != std::string::npos);
}

TEST_CASE("100 Continue is given to who waits for it") {
    Started it;
    Client client(it.loop, it.front.port());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    CHECK(client.receive_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hi");
    CHECK(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("the connection ends where the client asks for it, and after nonsense") {
    Started it;
    Client polite(it.loop, it.front.port());
    polite.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(polite.receive_until("\r\n\r\n").find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(polite.sees_end());
    Client rude(it.loop, it.front.port());
    rude.send("NONSENSE\r\n\r\n");
    CHECK(rude.receive_until("\r\n\r\n").starts_with("HTTP/1.1 400 "));
    CHECK(rude.sees_end());
}

TEST_CASE("/slow keeps its answer back for that long") {
    Started it;
    Client client(it.loop, it.front.port());
    const auto start = std::chrono::steady_clock::now();
    client.send("GET /slow?ms=120 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(110));
}

TEST_CASE("/big sends exactly the bytes it promised, and the connection lives on") {
    Started it;
    Client client(it.loop, it.front.port());
    client.send("GET /big?bytes=3000001 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client.receive_until("\r\n\r\n").find("\r\nContent-Length: 3000001\r\n") != std::string::npos);
    CHECK(client.receive_bytes(3000001).starts_with("This line"));
    CHECK(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("an outage cuts and refuses connections, then the front is back on its port") {
    Started it;
    const std::uint16_t port = it.front.port();
    Client bystander(it.loop, port);
    bystander.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(bystander.receive_until("Host: a\n").starts_with("HTTP/1.1 200 OK\r\n"));

    it.front.fail_for(std::chrono::milliseconds(200));
    CHECK(bystander.sees_end());
    CHECK(bystander.was_reset());
    CHECK_FALSE(Client(it.loop, port).connected());

    REQUIRE(run_until(it.loop, [&] { return Client(it.loop, port).connected(); }));
    CHECK(it.front.port() == port);
    Client again(it.loop, port);
    again.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(again.receive_until("Host: a\n").find("front1 · request 2\n") != std::string::npos);
}

TEST_CASE("an outage can be asked for, and is answered first") {
    Started it;
    Client client(it.loop, it.front.port());
    client.send("POST /outage?s=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client.receive_until("refused.\n").starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(client.sees_end());
    CHECK_FALSE(Client(it.loop, it.front.port()).connected());
}

TEST_CASE("a client that leaves in the middle leaves nothing behind") {
    Started it;
    {
        Client client(it.loop, it.front.port());
        client.send("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
        REQUIRE(run_until(it.loop, [&] { return it.front.requests() == 1; }));
        Client half(it.loop, it.front.port());
        half.send("GET / HT");
        it.loop.run_once(10);
    }
    Client next(it.loop, it.front.port());
    next.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(next.receive_until("Host: a\n").find("front1 · request 2\n") != std::string::npos);
}

}  // namespace
}  // namespace palier::demo
