// A whole worker's proxy over socket pairs and one real backend: in steady state a keep-alive request costs
// no heap allocation, and an idle connection owns no memory but itself.
#include "../net/loop_fixture.h"
#include "allocation_count.h"
#include "catch.h"
#include "palier/net/listener.h"
#include "palier/proxy/h1_connection.h"
#include "palier/proxy/worker_core.h"

#include <memory>
#include <string>
#include <thread>

#include <netinet/in.h>

using namespace palier;

namespace {

constexpr std::string_view kRequest =
    "GET /index.php?page=1 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: "
    "a=b\r\n\r\n";
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

/// Answers every request on one connection, on a thread of its own.
class Backend {
  public:
    Backend() : listener_(*net::listen_on(*base::SocketAddress::parse("127.0.0.1:0"), false)) {
        address_ = net::bound_address(listener_.get());
        ::fcntl(listener_.get(), F_SETFL, 0);
        thread_ = std::thread([this] {
            const test::Descriptor connection(::accept(listener_.get(), nullptr, nullptr));
            std::string bytes;
            while (true) {
                const std::string more = connection.receive();
                if (more.empty()) return;
                bytes += more;
                if (!bytes.ends_with("\r\n\r\n")) continue;
                bytes.clear();
                connection.send(kResponse);
            }
        });
    }
    ~Backend() { thread_.join(); }

    [[nodiscard]] const base::SocketAddress& address() const { return address_; }

  private:
    test::Descriptor listener_;
    base::SocketAddress address_;
    std::thread thread_;
};

std::shared_ptr<const proxy::Snapshot> snapshot_for(const base::SocketAddress& backend) {
    auto config = std::make_shared<config::Config>();
    auto& listener = config->listeners.emplace_back();
    listener.name = "http";
    listener.addresses = {*base::SocketAddress::parse("127.0.0.1:0")};
    config::PoolConfig pool;
    pool.name = "web";
    config::ServerConfig server;
    server.name = "front1";
    server.host = backend.ip().to_string();
    server.port = backend.port();
    pool.servers.push_back(server);
    config->pools.push_back(pool);
    config->routes.emplace_back().action = config::ForwardAction{0};

    static pool::StateTable states(1);
    auto snapshot = std::make_shared<proxy::Snapshot>();
    snapshot->routers = std::make_shared<std::vector<proxy::Router>>(
        std::initializer_list<proxy::Router>{proxy::Router(*config, 0)});
    snapshot->pools.push_back(pool::make_pool_snapshot(config->pools[0], {}, states));
    snapshot->config = std::move(config);
    return snapshot;
}

/// What app::Worker does at the end of a turn.
class TurnEnd final : public net::TurnObserver {
  public:
    explicit TurnEnd(proxy::WorkerCore& core) : core_(core) {}
    void on_turn_end() override { core_.end_turn(); }

  private:
    proxy::WorkerCore& core_;
};

}  // namespace

TEST_CASE("a keep-alive request allocates nothing in steady state") {
    Backend backend;
    net::Loop loop;
    const auto facts = std::make_shared<const proxy::ListenerFacts>(
        proxy::ListenerFacts{.index = 0, .name = "http", .port = "80", .scheme = "http"});
    std::uint64_t allocations = 0;
    {
        proxy::WorkerCore core(loop, 0, snapshot_for(backend.address()), nullptr);
        TurnEnd turn_end(core);
        loop.observe_turns(turn_end);
        auto [ours, client] = test::socket_pair();
        proxy::ClientConnection::accept(core, facts, ours.release(), base::SocketAddress());

        const auto exchange = [&] {
            client.send(kRequest);
            std::string answer;
            ::fcntl(client.get(), F_SETFL, O_NONBLOCK);
            std::array<char, 4096> bytes;
            const bool answered = test::run_until(
                loop, [&] { return ::recv(client.get(), bytes.data(), bytes.size(), 0) > 0; });
            ::fcntl(client.get(), F_SETFL, 0);
            return answered;
        };
        for (int i = 0; i < 100; ++i)
            REQUIRE(exchange());
        const std::uint64_t before = test::allocations_of_this_thread();
        bool all_answered = true;
        for (int i = 0; i < 1000; ++i)
            all_answered = exchange() && all_answered;
        allocations = test::allocations_of_this_thread() - before;
        CHECK(all_answered);
        CHECK(core.connection_count == 1);

        client.close();
        CHECK(test::run_until(loop, [&] { return core.connection_count == 0; }));
        core.pools.close_idle();
    }
    loop.run_once(0);
    CHECK(allocations == 0);
}

TEST_CASE(
    "bytes that come on an idle connection just before its next request are not that request's answer") {
    test::Descriptor listener(*net::listen_on(*base::SocketAddress::parse("127.0.0.1:0"), false));
    net::Loop loop;
    const auto facts = std::make_shared<const proxy::ListenerFacts>(
        proxy::ListenerFacts{.index = 0, .name = "http", .port = "80", .scheme = "http"});
    {
        proxy::WorkerCore core(loop, 0, snapshot_for(net::bound_address(listener.get())), nullptr);
        TurnEnd turn_end(core);
        loop.observe_turns(turn_end);
        auto [ours, client] = test::socket_pair();
        proxy::ClientConnection::accept(core, facts, ours.release(), base::SocketAddress());

        const auto turn_until_readable = [&](const test::Descriptor& descriptor) {
            char byte = 0;
            return test::run_until(
                loop, [&] { return ::recv(descriptor.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0; });
        };
        const auto accepted = [&] {
            int descriptor = -1;
            const bool came = test::run_until(
                loop, [&] { return (descriptor = ::accept(listener.get(), nullptr, nullptr)) >= 0; });
            return test::Descriptor(came ? descriptor : -1);
        };
        client.send(kRequest);
        const test::Descriptor first = accepted();
        REQUIRE(turn_until_readable(first));
        CHECK(first.receive().starts_with("GET /index.php"));
        first.send(kResponse);
        REQUIRE(turn_until_readable(client));
        CHECK(client.receive().ends_with("hello"));

        // Both are there before the loop turns, the request first.
        client.send(kRequest);
        first.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        const test::Descriptor second = accepted();
        REQUIRE(turn_until_readable(second));
        CHECK(second.receive().starts_with("GET /index.php"));
        second.send(kResponse);
        REQUIRE(turn_until_readable(client));
        CHECK(client.receive().ends_with("hello"));

        client.close();
        CHECK(test::run_until(loop, [&] { return core.connection_count == 0; }));
        core.pools.close_idle();
    }
    loop.run_once(0);
}

TEST_CASE("an idle connection is small") {
    // The memory of ten thousand idle visitors is mostly this.
    CHECK(sizeof(proxy::H1Connection) <= 352);
}
