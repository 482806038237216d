// A worker on its own thread, with clients and a server that a test plays on loopback.
#include "app/worker.h"

#include "../net/loop_fixture.h"
#include "catch.h"
#include "palier/control/snapshot_builder.h"
#include "palier/net/listener.h"

#include <future>
#include <memory>
#include <string>

#include <poll.h>
#include <sys/time.h>

namespace palier::app {
namespace {

using std::chrono::milliseconds;
using test::Descriptor;

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
constexpr std::string_view kUpgrade =
    "GET /live HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
constexpr std::string_view kUpgraded =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

const base::SocketAddress kAnyPort = *base::SocketAddress::parse("127.0.0.1:0");

int listen() {
    return *net::listen_on(kAnyPort, true);
}

Descriptor connect_to(const base::SocketAddress& address) {
    Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{10, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_storage storage{};
    const socklen_t length = address.to_sockaddr(storage);
    if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) client.close();
    return client;
}

/// Waits until there is something to read, or an end.
bool readable(const Descriptor& descriptor, int patience_ms = 10'000) {
    pollfd wanted{descriptor.get(), POLLIN, 0};
    return ::poll(&wanted, 1, patience_ms) == 1;
}

Descriptor accept_from(const Descriptor& listening) {
    static_cast<void>(readable(listening));
    return Descriptor(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

/// The peer has closed in good order.
bool ended(const Descriptor& descriptor) {
    char byte = 0;
    return readable(descriptor) && ::recv(descriptor.get(), &byte, 1, 0) == 0;
}

std::string ask(const Descriptor& client, std::string_view request = kRequest) {
    client.send(request);
    return client.receive();
}

bool says_go(const std::string& answer) {
    return answer.find("\r\nConnection: close\r\n") != std::string::npos;
}

std::string body_of(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
}

/// Listeners by name; "/" is answered with the listener's name, where it has a route of its own, else with "all".
/// "/live" goes to `front`.
struct Site {
    explicit Site(const std::vector<std::string>& names) { configure(names); }
    ~Site() {
        if (!worker) return;
        worker->stop(milliseconds(0));
        worker->join();
    }

    void configure(const std::vector<std::string>& names) {
        auto config = std::make_shared<config::Config>();
        config->log.access = "off";
        config::PoolConfig& pool = config->pools.emplace_back();
        pool.name = "web";
        config::ServerConfig& server = pool.servers.emplace_back();
        server.name = "a";
        server.host = "127.0.0.1";
        server.port = net::bound_address(front.get()).port();
        const auto answers = [&](const std::string& text, std::vector<std::size_t> listeners) {
            config::RouteConfig& route = config->routes.emplace_back();
            route.exact = !listeners.empty();
            route.listeners = std::move(listeners);
            route.action = config::RespondAction{.code = 200, .body = text};
        };
        for (const std::string& name : names) {
            config->listeners.emplace_back().name = name;
            answers(name, {config->listeners.size() - 1});
        }
        answers("all", {});
        config::RouteConfig& live = config->routes.emplace_back();
        live.path = "/live";
        live.action = config::ForwardAction{0};
        snapshot = builder.build(std::move(config), {});
    }
    void start(std::vector<WorkerListener> listeners) {
        worker.emplace(0, snapshot, nullptr, std::move(listeners), 100, [this] { ended.set_value(); });
        worker->start();
    }
    template <typename Ask>
    void wait_for(Ask ask_worker) {
        std::promise<void> done;
        ask_worker([&] { done.set_value(); });
        REQUIRE(done.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
    }
    [[nodiscard]] control::Traffic traffic() {
        std::promise<control::Traffic> told;
        worker->report([&](control::Traffic traffic) { told.set_value(traffic); });
        return told.get_future().get();
    }
    [[nodiscard]] std::map<int, std::size_t> connections() {
        std::promise<std::map<int, std::size_t>> told;
        worker->report_listeners(
            [&](std::map<int, std::size_t> counts) { told.set_value(std::move(counts)); });
        return told.get_future().get();
    }
    [[nodiscard]] bool has_ended() {
        return ended_future.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
    }
    [[nodiscard]] std::shared_ptr<pool::ServerState> server() const {
        return snapshot->pools[0]->servers[0].state;
    }
    /// A WebSocket through the worker: its client's end and its server's.
    [[nodiscard]] std::pair<Descriptor, Descriptor> tunnel(const base::SocketAddress& address) const {
        Descriptor client = connect_to(address);
        client.send(kUpgrade);
        Descriptor backend = accept_from(front);
        REQUIRE_THAT(backend.receive(), Catch::StartsWith("GET /live"));
        backend.send(kUpgraded);
        REQUIRE_THAT(client.receive(), Catch::StartsWith("HTTP/1.1 101"));
        return {std::move(client), std::move(backend)};
    }

    Descriptor front{*net::listen_on(kAnyPort, false)};
    control::SnapshotBuilder builder{1};
    std::shared_ptr<const proxy::Snapshot> snapshot;
    std::promise<void> ended;
    std::future<void> ended_future = ended.get_future();
    std::optional<Worker> worker;
};

/// Newly given, or the same as before.
WorkerListener at(int descriptor, std::size_t index, const std::string& name, bool fresh = true) {
    return {descriptor, fresh, {.index = index, .name = name, .port = "80", .scheme = "http"}};
}

TEST_CASE("listeners come, stay and go: those that stay keep their connections, those that go say so") {
    Site site({"first", "second"});
    const int first = listen();
    const int second = listen();
    const auto first_address = net::bound_address(first);
    const auto second_address = net::bound_address(second);
    site.start({at(first, 0, "first"), at(second, 1, "second")});
    const Descriptor of_first = connect_to(first_address);
    const Descriptor idle_of_first = connect_to(first_address);
    const Descriptor of_second = connect_to(second_address);
    CHECK(body_of(ask(of_first)) == "first");
    CHECK(body_of(ask(idle_of_first)) == "first");
    CHECK(body_of(ask(of_second)) == "second");
    CHECK(site.connections() == std::map<int, std::size_t>{{first, 2}, {second, 1}});

    // The second has another place now, the third is new.
    const int third = listen();
    const auto third_address = net::bound_address(third);
    site.configure({"third", "second"});
    site.wait_for([&](Worker::Done done) {
        site.worker->publish(site.snapshot, {at(third, 0, "third"), at(second, 1, "second", false)},
                             std::move(done));
    });
    CHECK(connect_to(first_address).get() < 0);
    const std::string last = ask(of_first);
    CHECK(body_of(last) == "all");
    CHECK(says_go(last));
    CHECK(ended(of_first));
    CHECK(ended(idle_of_first));
    const std::string stays = ask(of_second);
    CHECK(body_of(stays) == "second");
    CHECK_FALSE(says_go(stays));
    CHECK(body_of(ask(connect_to(third_address))) == "third");
}

TEST_CASE("a listener that changed tells new connections; open ones keep what they had, but for the place") {
    Site site({"other", "web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    WorkerListener listener = at(descriptor, 1, "web");
    listener.facts.hsts = "X-Made: before\r\n";
    site.start({listener});
    const Descriptor before = connect_to(address);
    CHECK_THAT(ask(before), Catch::Contains("X-Made: before"));

    site.configure({"web"});
    listener.facts.index = 0;
    listener.fresh = false;
    listener.facts.hsts = "X-Made: after\r\n";
    site.wait_for(
        [&](Worker::Done done) { site.worker->publish(site.snapshot, {listener}, std::move(done)); });
    const Descriptor after = connect_to(address);
    const std::string fresh = ask(after);
    CHECK_THAT(fresh, Catch::Contains("X-Made: after"));
    CHECK(body_of(fresh) == "web");
    const std::string old = ask(before);
    CHECK_THAT(old, Catch::Contains("X-Made: before"));
    CHECK(body_of(old) == "web");
    CHECK_FALSE(says_go(old));
    CHECK(site.connections() == std::map<int, std::size_t>{{descriptor, 2}});
}

TEST_CASE(
    "closed for now: connections stay, also when their listener moves, until it leaves; then others open") {
    Site site({"other", "web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    site.start({at(descriptor, 1, "web")});
    const Descriptor client = connect_to(address);
    CHECK(body_of(ask(client)) == "web");
    const auto publish = [&] {
        site.wait_for([&](Worker::Done done) { site.worker->publish(site.snapshot, std::move(done)); });
    };
    site.wait_for([&](Worker::Done done) { site.worker->close_listeners(std::move(done)); });
    CHECK(connect_to(address).get() < 0);
    CHECK(site.connections().empty());
    CHECK(body_of(ask(client)) == "web");
    site.configure({"web", "other"});
    publish();
    const std::string moved = ask(client);
    CHECK(body_of(moved) == "web");
    CHECK_FALSE(says_go(moved));

    const int again = listen();
    const auto again_address = net::bound_address(again);
    site.wait_for([&](Worker::Done done) {
        site.worker->publish(site.snapshot, {at(again, 0, "web")}, std::move(done));
    });
    CHECK(body_of(ask(connect_to(again_address))) == "web");
    CHECK(body_of(ask(client)) == "web");

    site.wait_for([&](Worker::Done done) { site.worker->close_listeners(std::move(done)); });
    site.configure({"other"});
    publish();
    const std::string last = ask(client);
    CHECK(body_of(last) == "all");
    CHECK(says_go(last));
}

TEST_CASE("what it has closed is not its own any more; what it is given after the end is closed") {
    Site site({"web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    site.start({at(descriptor, 0, "web")});
    const Descriptor client = connect_to(address);  // for whose sake the worker lives on
    CHECK(body_of(ask(client)) == "web");
    site.wait_for([&](Worker::Done done) { site.worker->hand_over(std::chrono::hours(1), std::move(done)); });
    // The number is somebody else's now.
    REQUIRE(::fcntl(descriptor, F_GETFD) < 0);
    const Descriptor other(::fcntl(site.front.get(), F_DUPFD_CLOEXEC, descriptor));
    REQUIRE(other.get() == descriptor);
    const int late = listen();
    site.wait_for([&](Worker::Done done) {
        site.worker->publish(site.snapshot, {at(descriptor, 0, "web", false), at(late, 0, "web")},
                             std::move(done));
    });
    CHECK(::fcntl(descriptor, F_GETFD) >= 0);
    CHECK(::fcntl(late, F_GETFD) < 0);
    CHECK(body_of(ask(client)) == "web");
}

TEST_CASE("winding down: each answer says so, the listener stays open, and it can be undone") {
    Site site({"web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    site.start({at(descriptor, 0, "web")});
    const Descriptor one = connect_to(address);
    const Descriptor two = connect_to(address);
    CHECK_FALSE(says_go(ask(one)));
    CHECK_FALSE(says_go(ask(two)));
    site.wait_for([&](Worker::Done done) { site.worker->wind_down(true, std::move(done)); });
    CHECK(says_go(ask(one)));
    CHECK(says_go(ask(connect_to(address))));
    site.wait_for([&](Worker::Done done) { site.worker->wind_down(false, std::move(done)); });
    CHECK_FALSE(says_go(ask(two)));
    CHECK_FALSE(says_go(ask(connect_to(address))));
}

TEST_CASE("handed over: what waits is the other's, nobody is cut, and the worker ends with its last client") {
    Site site({"web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    const Descriptor others(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    site.start({at(descriptor, 0, "web")});
    Descriptor idle = connect_to(address);
    CHECK_FALSE(says_go(ask(idle)));
    site.wait_for([&](Worker::Done done) { site.worker->hand_over(std::chrono::hours(1), std::move(done)); });
    const Descriptor newcomer = connect_to(address);
    REQUIRE(newcomer.get() >= 0);
    const Descriptor accepted = accept_from(others);
    CHECK(accepted.get() >= 0);
    CHECK_FALSE(readable(idle, 600));  // longer than a stop would leave it
    CHECK(says_go(ask(idle)));
    CHECK(ended(idle));
    idle.close();
    CHECK(site.has_ended());
}

TEST_CASE("handed over: tunnels live for the grace, idle clients longer") {
    Site site({"web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    site.start({at(descriptor, 0, "web")});
    Descriptor idle = connect_to(address);
    CHECK_FALSE(says_go(ask(idle)));
    const auto [client, backend] = site.tunnel(address);
    const auto traffic = site.traffic();
    CHECK(traffic.connections == 2);
    CHECK(traffic.exchanges == 1);
    CHECK(traffic.tunnels == 1);
    site.wait_for([&](Worker::Done done) { site.worker->hand_over(milliseconds(200), std::move(done)); });
    client.send("still here");
    CHECK(backend.receive() == "still here");
    CHECK(ended(backend));
    CHECK(readable(client));
    CHECK_FALSE(readable(idle, 0));
    CHECK(says_go(ask(idle)));
    idle.close();
    CHECK(site.has_ended());
}

TEST_CASE("tunnels through a server are ended in good order, if asked for") {
    Site site({"web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    site.start({at(descriptor, 0, "web")});
    const auto [client, backend] = site.tunnel(address);
    const auto close = [&](bool tunnels) {
        site.wait_for([&](Worker::Done done) {
            site.worker->close_connections(site.server(), tunnels, std::move(done));
        });
    };
    close(false);
    client.send("ping");
    CHECK(backend.receive() == "ping");
    CHECK(site.server()->totals().tunnels == 1);
    backend.send("the last word");
    CHECK(client.receive() == "the last word");
    close(true);
    CHECK(ended(client));
    CHECK(ended(backend));
    CHECK(site.server()->totals().tunnels == 0);
    CHECK(site.traffic().tunnels == 0);
}

TEST_CASE("the number of clients can be lowered and raised") {
    Site site({"web"});
    const int descriptor = listen();
    const auto address = net::bound_address(descriptor);
    site.start({at(descriptor, 0, "web")});
    site.worker->set_max_connections(1);
    const Descriptor first = connect_to(address);
    CHECK(body_of(ask(first)) == "web");
    const Descriptor second = connect_to(address);
    second.send(kRequest);
    CHECK_FALSE(readable(second, 100));
    site.worker->set_max_connections(2);
    CHECK(body_of(second.receive()) == "web");
}

}  // namespace
}  // namespace palier::app
