#include "app/listening.h"

#include "captured_descriptor.h"
#include "catch.h"
#include "palier/net/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr unsigned kWorkers = 2;

/// A port of 127.0.0.1 that is free at this moment.
std::uint16_t free_port() {
    const auto descriptor = net::listen_on(*base::SocketAddress::parse("127.0.0.1:0"), false);
    REQUIRE(descriptor);
    const std::uint16_t port = net::bound_address(*descriptor).port();
    ::close(*descriptor);
    return port;
}

base::SocketAddress on(std::uint16_t port, const std::string& ip = "127.0.0.1") {
    return {*base::IpAddress::parse(ip), port};
}

config::Config config_of(std::vector<std::vector<base::SocketAddress>> listeners) {
    config::Config config;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        auto& listener = config.listeners.emplace_back();
        listener.name = std::string(1, static_cast<char>('a' + i));
        listener.addresses = std::move(listeners[i]);
    }
    return config;
}

bool is_open(int descriptor) {
    return ::fcntl(descriptor, F_GETFD) >= 0;
}

bool is_free(std::uint16_t port) {
    return net::check_free(on(port)).has_value();
}

bool connects(const base::SocketAddress& address) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    const socklen_t length = address.to_sockaddr(storage);
    const bool connected = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&storage), length) == 0;
    ::close(descriptor);
    return connected;
}

/// How many sockets of this process listen.
int listening_sockets() {
    int count = 0;
    for (int descriptor = 0; descriptor < 1024; ++descriptor) {
        int listens = 0;
        socklen_t length = sizeof listens;
        if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0) count += listens;
    }
    return count;
}

struct Held {
    ~Held() {
        for (const int descriptor : handed)
            ::close(descriptor);
    }

    [[nodiscard]] base::Result<void> change(const config::Config& config) {
        auto plan = listening.prepare(config);
        if (!plan) return std::unexpected(plan.error());
        listening.commit(std::move(*plan));
        return {};
    }
    [[nodiscard]] Listening::WorkerLists hand_out(const config::Config& config) {
        const std::vector<std::shared_ptr<const tls::ServerContext>> plain(config.listeners.size());
        auto lists = listening.hand_out(config, plain);
        for (const auto& list : lists) {
            for (const WorkerListener& one : list)
                handed.insert(one.descriptor);
        }
        return lists;
    }
    [[nodiscard]] std::vector<int> descriptors(std::size_t row = 0) const {
        return listening.rows()[row].descriptors;
    }

    test::CapturedDescriptor err{STDERR_FILENO};
    Listening listening{kWorkers};
    std::set<int> handed;  // as workers have them, to be closed by them
};

TEST_CASE("each worker gets a socket of each address, with what is to know of the listener") {
    Held held;
    const std::uint16_t port = free_port();
    const auto config = config_of({{on(port)}, {on(0), on(0)}});
    REQUIRE(held.change(config));
    const auto lists = held.hand_out(config);
    REQUIRE(lists.size() == kWorkers);
    for (const auto& list : lists) {
        REQUIRE(list.size() == 3);
        CHECK(list[0].facts.name == "a");
        CHECK(list[0].facts.index == 0);
        CHECK(list[0].facts.port == std::to_string(port));
        CHECK(list[2].facts.index == 1);
        CHECK(list[2].facts.port == std::to_string(net::bound_address(list[2].descriptor).port()));
        CHECK(list[1].facts.port != list[2].facts.port);
    }
    CHECK(lists[0][0].descriptor != lists[1][0].descriptor);
    CHECK(lists[0][1].facts.port == lists[1][1].facts.port);
}

TEST_CASE("a list says what is given with it") {
    Held held;
    const std::uint16_t port = free_port();
    const auto config = config_of({{on(port)}});
    REQUIRE(held.change(config));
    CHECK(held.hand_out(config)[0][0].fresh);
    const auto more = config_of({{on(0)}, {on(port)}});
    REQUIRE(held.change(more));
    const auto lists = held.hand_out(more);
    for (const auto& list : lists) {
        CHECK(list[0].fresh);
        CHECK_FALSE(list[1].fresh);
    }
}

TEST_CASE("nobody can connect before the change is made") {
    Held held;
    const auto config = config_of({{on(free_port())}, {on(0)}});
    const int before = listening_sockets();
    auto plan = held.listening.prepare(config);
    REQUIRE(plan);
    CHECK_FALSE(connects(config.listeners[0].addresses[0]));
    CHECK(listening_sockets() == before);
    held.listening.commit(std::move(*plan));
    for (const Listening::Row& row : held.listening.rows())
        CHECK(connects(row.address));
    CHECK(listening_sockets() == before + 4);
}

TEST_CASE("what stays is not touched, also where it is another listener's") {
    Held held;
    const std::uint16_t first = free_port();
    const std::uint16_t second = free_port();
    REQUIRE(held.change(config_of({{on(first)}})));
    const auto before = held.descriptors();
    const auto config = config_of({{on(second)}, {on(first)}});
    REQUIRE(held.change(config));
    CHECK(held.descriptors(1) == before);
    CHECK(held.hand_out(config)[0][1].facts.name == "b");
}

TEST_CASE("a change that fails, or is dropped, leaves nothing open and nothing changed") {
    Held held;
    const std::uint16_t here = free_port();
    const std::uint16_t fresh = free_port();
    const auto taken = net::listen_on(on(0), true);  // shares its port with whoever would
    REQUIRE(taken);
    const base::SocketAddress busy = net::bound_address(*taken);
    REQUIRE(held.change(config_of({{on(here)}})));
    const auto before = held.descriptors();

    const auto failed = held.listening.prepare(config_of({{on(fresh)}, {busy}}));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message == "listen on " + busy.to_string() + ": Address already in use");
    CHECK(held.listening.check(config_of({{on(fresh)}, {busy}})).error().message == failed.error().message);
    CHECK(is_free(fresh));
    { const auto dropped = held.listening.prepare(config_of({{on(fresh)}})); }
    CHECK(is_free(fresh));
    CHECK(held.listening.rows().size() == 1);
    CHECK(held.descriptors() == before);
    CHECK(is_open(before.front()));
    ::close(*taken);
}

TEST_CASE("what goes is closed by whoever has it") {
    Held held;
    const std::uint16_t port = free_port();
    const auto both = config_of({{on(port)}, {on(0)}});
    REQUIRE(held.change(both));
    SECTION("workers, once they were given it") {
        static_cast<void>(held.hand_out(both));
        const auto gone = held.descriptors(1);
        CHECK(held.listening.leaving(config_of({{on(port)}})) == std::set<int>(gone.begin(), gone.end()));
        REQUIRE(held.change(config_of({{on(port)}})));
        CHECK(held.listening.rows().size() == 1);
        CHECK(is_open(gone.front()));
    }
    SECTION("before, it is closed here") {
        const auto gone = held.descriptors(1);
        REQUIRE(held.change(config_of({{on(port)}})));
        CHECK_FALSE(is_open(gone.front()));
        CHECK_FALSE(is_open(gone.back()));
    }
}

TEST_CASE("what no worker was given is closed at the end") {
    const std::uint16_t port = free_port();
    {
        Held held;
        REQUIRE(held.change(config_of({{on(port)}})));
        CHECK_FALSE(is_free(port));
    }
    CHECK(is_free(port));
}

TEST_CASE("an address may widen or narrow, though its socket is still ours") {
    Held held;
    const std::uint16_t port = free_port();
    REQUIRE(held.change(config_of({{on(port, "0.0.0.0")}})));
    CHECK(held.listening.check(config_of({{on(port)}})));
    REQUIRE(held.change(config_of({{on(port)}})));
    CHECK(held.listening.rows().front().address == on(port));
    REQUIRE(held.change(config_of({{on(port, "0.0.0.0")}})));
    // Which of both would get a connection is the kernel's choice.
    const auto both = config_of({{on(port, "0.0.0.0"), on(port)}});
    CHECK_FALSE(held.change(both));
    Held fresh;
    const std::uint16_t other = free_port();
    const auto failed = fresh.listening.prepare(config_of({{on(other, "0.0.0.0")}, {on(other)}}));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message == "listen on " + on(other).to_string() + ": Address already in use: " +
                                        on(other, "0.0.0.0").to_string() + " is among ours too");
    CHECK_FALSE(fresh.listening.check(config_of({{on(other, "0.0.0.0")}, {on(other)}})));
}

TEST_CASE(
    "another palier's sockets are taken over: none is lost, missing ones are added, unwanted ones closed") {
    const std::uint16_t port = free_port();
    const auto listen = [](std::uint16_t at, std::size_t count) {
        std::vector<int> descriptors;
        for (std::size_t i = 0; i < count; ++i)
            descriptors.push_back(*net::listen_on(on(at), true));
        return descriptors;
    };
    Held held;
    const auto config = config_of({{on(port)}});
    SECTION("more than workers") {
        const auto theirs = listen(port, 3);
        held.listening.adopt(on(port).to_string(), theirs);
        REQUIRE(held.change(config));
        CHECK(held.descriptors() == theirs);
        const auto lists = held.hand_out(config);
        CHECK(lists[0].size() == 2);
        CHECK(lists[1].size() == 1);
    }
    SECTION("fewer, and another process has them too") {
        const auto theirs = listen(port, 1);
        held.listening.adopt(on(port).to_string(), theirs);
        REQUIRE(held.change(config));
        CHECK(held.descriptors().size() == kWorkers);
        CHECK(held.descriptors().front() == theirs.front());
    }
    SECTION("not in our configuration") {
        const auto theirs = listen(port, 2);
        held.listening.adopt(on(port).to_string(), theirs);
        REQUIRE(held.change(config_of({{on(0)}})));
        CHECK(is_free(port));
    }
    SECTION("their free choice of a port stays") {
        held.listening.adopt("127.0.0.1:0 of a, 0", listen(port, 2));
        REQUIRE(held.change(config_of({{on(0)}})));
        CHECK(held.listening.rows().front().address.port() == port);
    }
}

TEST_CASE("once all are forgotten they open anew") {
    Held held;
    const auto config = config_of({{on(free_port())}});
    REQUIRE(held.change(config));
    for (const auto& list : held.hand_out(config)) {
        for (const WorkerListener& one : list)
            ::close(one.descriptor);
    }
    held.handed.clear();
    held.listening.forget();
    REQUIRE(held.change(config));
    CHECK(held.descriptors().size() == kWorkers);
}

}  // namespace
}  // namespace palier::app
