#include "palier/net/listener.h"

#include "catch.h"
#include "loop_fixture.h"

#include <optional>
#include <set>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

using namespace palier::net;
using namespace palier::test;
using palier::base::IpAddress;
using palier::base::SocketAddress;

namespace {

SocketAddress on(const char* ip, std::uint16_t port = 0) {
    return {*IpAddress::parse(ip), port};
}

class RecordingAcceptor final : public Listener::Acceptor {
  public:
    void on_accept(int descriptor, const SocketAddress& peer) override {
        accepted.emplace_back(descriptor);
        peers.push_back(peer);
    }
    void on_accept_exhausted(int error) override { exhausted.push_back(error); }

    std::vector<Descriptor> accepted;
    std::vector<SocketAddress> peers;
    std::vector<int> exhausted;
};

Descriptor connect_to(const SocketAddress& address) {
    sockaddr_storage storage;
    const socklen_t length = address.to_sockaddr(storage);
    Descriptor descriptor(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(descriptor.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0)
        return Descriptor();
    return descriptor;
}

/// Lowers the limit of descriptors to those that are open now.
class NoDescriptorsLeft {
  public:
    NoDescriptorsLeft() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const Descriptor next(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(next.get());
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoDescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptorsLeft(const NoDescriptorsLeft&) = delete;
    NoDescriptorsLeft& operator=(const NoDescriptorsLeft&) = delete;

  private:
    rlimit before_{};
};

struct Listening {
    explicit Listening(const char* ip = "127.0.0.1") {
        const auto opened = listen_on(on(ip), true);
        REQUIRE(opened);
        descriptor = *opened;
        address = bound_address(descriptor);
        listener.emplace(loop, descriptor, acceptor);
    }
    Loop loop;
    RecordingAcceptor acceptor;
    int descriptor = -1;  // the listener's
    SocketAddress address;
    std::optional<Listener> listener;
};

}  // namespace

TEST_CASE("a listener on port 0 knows its port, and accepts with the peer's address") {
    const char* ip = GENERATE("127.0.0.1", "::1");
    Listening l(ip);
    CHECK(l.address.port() != 0);
    const Descriptor client = connect_to(l.address);
    REQUIRE(client.get() >= 0);
    REQUIRE(run_until(l.loop, [&] { return !l.acceptor.accepted.empty(); }));
    CHECK(l.acceptor.peers[0] == bound_address(client.get()));

    const int accepted = l.acceptor.accepted[0].get();
    CHECK((::fcntl(accepted, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(accepted, F_GETFD) & FD_CLOEXEC) != 0);
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    CHECK(::getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
    CHECK(no_delay != 0);
}

TEST_CASE("connections in a crowd are all accepted") {
    Listening l;
    std::vector<Descriptor> clients;
    for (int i = 0; i < 100; ++i)
        clients.push_back(connect_to(l.address));
    REQUIRE(run_until(l.loop, [&] { return l.acceptor.accepted.size() == clients.size(); }));
    std::set<std::uint16_t> ports;
    for (const SocketAddress& peer : l.acceptor.peers)
        ports.insert(peer.port());
    CHECK(ports.size() == clients.size());
}

TEST_CASE("a taken port is an error that says which, unless it is shared on purpose") {
    const auto first = listen_on(on("127.0.0.1"), true);
    REQUIRE(first);
    const Descriptor keep(*first);
    const SocketAddress address = bound_address(*first);
    const auto alone = listen_on(address, false);
    REQUIRE_FALSE(alone);
    CHECK(alone.error().code == EADDRINUSE);
    CHECK(alone.error().message.find(address.to_string()) != std::string::npos);
    const auto shared = listen_on(address, true);
    REQUIRE(shared);
    const Descriptor also(*shared);
    CHECK(bound_address(*shared) == address);
}

TEST_CASE("an address of another machine cannot be listened on") {
    const auto descriptor = listen_on(on("192.0.2.1"), false);
    REQUIRE_FALSE(descriptor);
    CHECK(descriptor.error().code == EADDRNOTAVAIL);
}

TEST_CASE("a paused listener leaves connections with the kernel until it resumes") {
    Listening l;
    l.listener->pause();
    const Descriptor client = connect_to(l.address);
    REQUIRE(client.get() >= 0);
    for (int turn = 0; turn < 3; ++turn)
        l.loop.run_once(10);
    CHECK(l.acceptor.accepted.empty());
    l.listener->resume();
    CHECK(run_until(l.loop, [&] { return l.acceptor.accepted.size() == 1; }));
}

TEST_CASE("an acceptor may pause its listener in the middle of a crowd") {
    Loop loop;
    struct Pausing final : Listener::Acceptor {
        void on_accept(int descriptor, const SocketAddress&) override {
            accepted.emplace_back(descriptor);
            listener->pause();
        }
        void on_accept_exhausted(int) override {}
        Listener* listener = nullptr;
        std::vector<Descriptor> accepted;
    } acceptor;
    const auto descriptor = listen_on(on("127.0.0.1"), false);
    REQUIRE(descriptor);
    const SocketAddress address = bound_address(*descriptor);
    Listener listener(loop, *descriptor, acceptor);
    acceptor.listener = &listener;
    std::vector<Descriptor> clients;
    for (int i = 0; i < 3; ++i)
        clients.push_back(connect_to(address));
    for (std::size_t count = 1; count <= 3; ++count) {
        REQUIRE(run_until(loop, [&] { return acceptor.accepted.size() == count; }));
        for (int turn = 0; turn < 3; ++turn)
            loop.run_once(0);
        CHECK(acceptor.accepted.size() == count);
        listener.resume();
    }
}

TEST_CASE("a closed listener refuses") {
    Listening l;
    l.listener->close();
    CHECK(connect_to(l.address).get() < 0);
    l.listener->resume();
    l.listener->close();
    CHECK(l.acceptor.accepted.empty());
}

TEST_CASE("draining accepts all that the kernel has taken, then refuses") {
    Listening l;
    std::vector<Descriptor> clients;
    for (int i = 0; i < 50; ++i)
        clients.push_back(connect_to(l.address));
    l.listener->drain();
    CHECK(l.acceptor.accepted.size() == 50);
    CHECK(connect_to(l.address).get() < 0);
}

TEST_CASE("without descriptors the listener pauses itself once, and goes on when there are some") {
    Listening l;
    std::vector<Descriptor> clients;
    for (int i = 0; i < 3; ++i)
        clients.push_back(connect_to(l.address));
    {
        const NoDescriptorsLeft limit;
        REQUIRE(run_until(l.loop, [&] { return !l.acceptor.exhausted.empty(); }));
        for (int turn = 0; turn < 3; ++turn)
            l.loop.run_once(0);
    }
    // Not before there are descriptors again: UBSan needs one to look at an object.
    CHECK(l.acceptor.exhausted == std::vector<int>{EMFILE});
    CHECK(l.acceptor.accepted.empty());
    l.listener->resume();
    CHECK(run_until(l.loop, [&] { return l.acceptor.accepted.size() == 3; }));
}

TEST_CASE("a socket that another process holds too says nothing more once it is closed here") {
    Listening here;
    const Descriptor elsewhere(::fcntl(here.descriptor, F_DUPFD_CLOEXEC, 0));
    here.listener->close();
    const Descriptor client = connect_to(here.address);
    REQUIRE(client.get() >= 0);
    for (int turn = 0; turn < 4; ++turn)
        here.loop.run_once(0);  // what libuv had to register
    constexpr int kQuietMs = 20;
    const std::uint64_t began = palier::base::monotonic_ms();
    here.loop.run_once(kQuietMs);
    CHECK(palier::base::monotonic_ms() - began >= kQuietMs - 1U);  // an event would have ended it
    CHECK(here.acceptor.accepted.empty());
    const Descriptor accepted(::accept(elsewhere.get(), nullptr, nullptr));
    CHECK(accepted.get() >= 0);
}
