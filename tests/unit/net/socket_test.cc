#include "palier/net/socket.h"

#include "catch.h"
#include "loop_fixture.h"
#include "palier/net/listener.h"

#include <string>

#include <fcntl.h>
#include <poll.h>

using namespace palier::net;
using namespace palier::test;
using palier::base::IpAddress;
using palier::base::SocketAddress;

namespace {

SocketAddress loopback(std::uint16_t port) {
    return {*IpAddress::parse("127.0.0.1"), port};
}

/// A listening socket that tests accept from by themselves.
struct Server {
    Server() : listening(*listen_on(loopback(0), false)), address(bound_address(listening.get())) {}

    [[nodiscard]] Descriptor accept() const {
        pollfd wanted{listening.get(), POLLIN, 0};
        ::poll(&wanted, 1, static_cast<int>(kPatienceMs));
        return Descriptor(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }

    Descriptor listening;
    SocketAddress address;
};

/// A socket and its watcher, which notes what comes.
struct Noted final : Watcher {
    void on_events(std::uint32_t ready) override {
        socket.note(ready);
        all |= ready;
    }
    Socket socket;
    std::uint32_t all = 0;
};

/// A Noted connected to `peer`, over TCP.
struct Connected {
    Connected() {
        REQUIRE(mine.socket.connect(loop, server.address, mine));
        peer = server.accept();
        REQUIRE(peer.get() >= 0);
        REQUIRE(run_until(loop, [&] { return (mine.all & kWritable) != 0; }));
        REQUIRE(mine.socket.connect_error() == 0);
        mine.all = 0;
    }
    Loop loop;
    Server server;
    Noted mine;
    Descriptor peer;
    std::array<char, 4096> data{};
};

}  // namespace

TEST_CASE("a socket connects, reads and writes") {
    Connected c;
    const IoResult sent = c.mine.socket.write("hello");
    CHECK((sent.status == IoStatus::ok && sent.size == 5));
    CHECK(c.peer.receive() == "hello");

    CHECK_FALSE(c.mine.socket.readable());
    c.peer.send("and back");
    REQUIRE(run_until(c.loop, [&] { return c.mine.socket.readable(); }));
    const IoResult got = c.mine.socket.read(c.data.data(), c.data.size());
    CHECK(got.status == IoStatus::ok);
    CHECK(std::string_view(c.data.data(), got.size) == "and back");
    CHECK_FALSE(c.mine.socket.readable());
    CHECK(c.mine.socket.read(c.data.data(), c.data.size()).status == IoStatus::would_block);
}

TEST_CASE("a socket stays readable until a read finds it empty") {
    Connected c;
    c.peer.send("12345678");
    REQUIRE(run_until(c.loop, [&] { return c.mine.socket.readable(); }));
    CHECK(c.mine.socket.read(c.data.data(), 4).size == 4);
    CHECK(c.mine.socket.readable());
    CHECK(c.mine.socket.read(c.data.data(), 4).size == 4);
    CHECK(c.mine.socket.readable());
    CHECK(c.mine.socket.read(c.data.data(), 4).status == IoStatus::would_block);
    CHECK_FALSE(c.mine.socket.readable());
}

TEST_CASE("the end that came with the last bytes is not lost") {
    Connected c;
    c.peer.send("last words");
    c.peer.close();
    REQUIRE(run_until(c.loop, [&] { return (c.mine.all & kHangup) != 0; }));
    CHECK(c.mine.socket.read(c.data.data(), c.data.size()).size == 10);
    CHECK(c.mine.socket.readable());
    CHECK(c.mine.socket.read(c.data.data(), c.data.size()).status == IoStatus::closed);
}

TEST_CASE("a half-closed peer can still be written to") {
    Connected c;
    ::shutdown(c.peer.get(), SHUT_WR);
    REQUIRE(run_until(c.loop, [&] { return (c.mine.all & kHangup) != 0; }));
    CHECK((c.mine.all & kError) == 0);
    CHECK(c.mine.socket.read(c.data.data(), c.data.size()).status == IoStatus::closed);
    CHECK(c.mine.socket.write("answer").status == IoStatus::ok);
    CHECK(c.peer.receive() == "answer");
}

TEST_CASE("a write takes what fits and says so later when there is room") {
    Connected c;
    const std::string block(1 << 20, 'x');
    std::size_t sent = 0;
    for (;;) {
        const IoResult result = c.mine.socket.write(block);
        if (result.status != IoStatus::ok) {
            CHECK(result.status == IoStatus::would_block);
            break;
        }
        sent += result.size;
    }
    CHECK(sent > 0);
    c.loop.run_once(0);
    c.mine.all = 0;
    std::size_t received = 0;
    while (received < sent)
        received += c.peer.receive().size();
    REQUIRE(run_until(c.loop, [&] { return (c.mine.all & kWritable) != 0; }));
    CHECK(c.mine.socket.write("more").status == IoStatus::ok);
}

TEST_CASE("unsent is what the peer's kernel has not taken") {
    Connected c;
    CHECK(c.mine.socket.unsent() == 0);
    REQUIRE(c.mine.socket.write("acknowledged, though not read").status == IoStatus::ok);
    CHECK(run_until(c.loop, [&] { return c.mine.socket.unsent() == 0; }));

    const std::string block(1 << 20, 'x');
    while (c.mine.socket.write(block).status == IoStatus::ok) {
    }
    const std::uint32_t full = c.mine.socket.unsent();
    CHECK(full > 0);
    CHECK(run_until(c.loop, [&] {
        REQUIRE_FALSE(c.peer.receive().empty());
        return c.mine.socket.unsent() < full / 2;
    }));
    c.mine.socket.close();
    CHECK(c.mine.socket.unsent() == 0);
}

TEST_CASE("a refused connection is an error event, and its errno is told") {
    Loop loop;
    SocketAddress nobody;
    {
        const Server closed_at_once;
        nobody = closed_at_once.address;
    }
    Noted mine;
    const auto started = mine.socket.connect(loop, nobody, mine);
    if (started) {
        REQUIRE(run_until(loop, [&] { return mine.all != 0; }));
        CHECK((mine.all & kError) != 0);
        CHECK(mine.socket.connect_error() == ECONNREFUSED);
    } else {
        CHECK(started.error().code == ECONNREFUSED);
    }
}

TEST_CASE("a reset is a failure, to read and to write") {
    Connected c;
    const linger now{1, 0};
    ::setsockopt(c.peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    c.peer.close();
    REQUIRE(run_until(c.loop, [&] { return (c.mine.all & kError) != 0; }));
    const IoResult got = c.mine.socket.read(c.data.data(), c.data.size());
    CHECK(got.status == IoStatus::failed);
    CHECK(got.error == ECONNRESET);
    const IoResult sent = c.mine.socket.write("x");
    CHECK(sent.status == IoStatus::failed);
    CHECK(sent.error == EPIPE);
}

TEST_CASE("closing with a reset tells the peer that it was cut") {
    Connected c;
    c.mine.socket.close_with_reset();
    CHECK_FALSE(c.mine.socket.open());
    std::array<char, 16> data;
    CHECK(::recv(c.peer.get(), data.data(), data.size(), 0) == -1);
    CHECK(errno == ECONNRESET);
}

TEST_CASE("shutting down the write side ends what the peer reads, and nothing else") {
    Connected c;
    CHECK(c.mine.socket.write("bye").status == IoStatus::ok);
    c.mine.socket.shutdown_write();
    CHECK(c.peer.receive() == "bye");
    CHECK(c.peer.receive().empty());
    c.peer.send("thanks");
    REQUIRE(run_until(c.loop, [&] { return c.mine.socket.readable(); }));
    CHECK(c.mine.socket.read(c.data.data(), c.data.size()).size == 6);
}

TEST_CASE("quiet means open and with nothing to read") {
    Connected c;
    CHECK(c.mine.socket.quiet());
    SECTION("bytes") {
        c.peer.send("unasked");
        REQUIRE(run_until(c.loop, [&] { return c.mine.socket.readable(); }));
        CHECK_FALSE(c.mine.socket.quiet());
        CHECK(c.mine.socket.read(c.data.data(), c.data.size()).size == 7);
        CHECK(c.mine.socket.quiet());
    }
    SECTION("the end") {
        c.peer.close();
        REQUIRE(run_until(c.loop, [&] { return (c.mine.all & kHangup) != 0; }));
        CHECK_FALSE(c.mine.socket.quiet());
    }
    SECTION("closed by ourselves") {
        c.mine.socket.close();
        CHECK_FALSE(c.mine.socket.quiet());
    }
}

TEST_CASE("adopting what is no descriptor fails and leaves the socket closed") {
    Loop loop;
    Noted mine;
    CHECK_FALSE(mine.socket.adopt(loop, 1'000'000, mine));
    CHECK_FALSE(mine.socket.open());
}

TEST_CASE("a closed socket forgets that it was readable") {
    Connected c;
    c.peer.send("x");
    REQUIRE(run_until(c.loop, [&] { return c.mine.socket.readable(); }));
    c.mine.socket.close();
    CHECK_FALSE(c.mine.socket.open());
    CHECK_FALSE(c.mine.socket.readable());
    c.mine.socket.close();
    CHECK(c.peer.receive().empty());
}

TEST_CASE("a socket that a child process holds too is deaf once it is closed") {
    Connected c;
    const Descriptor childs(::fcntl(c.mine.socket.descriptor(), F_DUPFD_CLOEXEC, 0));
    REQUIRE(childs.get() >= 0);
    c.mine.socket.close();
    c.peer.send("too late");
    REQUIRE(childs.receive() == "too late");
    c.loop.run_once(0);
    CHECK(c.mine.all == 0);
}
