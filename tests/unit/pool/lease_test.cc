// Leases and the connections behind them, with real sockets.
#include "palier/pool/lease.h"

#include "catch.h"
#include "net/loop_fixture.h"
#include "palier/net/listener.h"
#include "pool_fixture.h"

#include <poll.h>

using namespace palier::pool;
using namespace palier::test;
using palier::base::IpAddress;
using palier::base::SocketAddress;

namespace {

struct RecordingUser final : BackendUser {
    void on_backend_events(std::uint32_t ready) override { all |= ready; }
    void on_backend_deadline() override { ++deadlines; }
    void on_tunnel_unwanted() override { ++unwanted; }
    std::uint32_t all = 0;
    int deadlines = 0;
    int unwanted = 0;
};

/// A server that accepts by hand, a pool of it alone, and one worker.
struct Site {
    Site()
        : listening(*palier::net::listen_on({*IpAddress::parse("127.0.0.1"), 0}, false)),
          shared({{.name = "a", .port = palier::net::bound_address(listening.get()).port()}}),
          worker(shared) {}

    [[nodiscard]] Descriptor accept() const {
        pollfd wanted{listening.get(), POLLIN, 0};
        ::poll(&wanted, 1, static_cast<int>(kPatienceMs));
        return Descriptor(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    /// How many connections wait to be accepted.
    [[nodiscard]] bool somebody_connects() const {
        pollfd wanted{listening.get(), POLLIN, 0};
        return ::poll(&wanted, 1, 0) == 1;
    }
    /// A lease with a connection that is established; its other end.
    Descriptor connect(Lease& lease) {
        REQUIRE(worker.take(lease) == "a");
        REQUIRE(lease.reuse(user) == nullptr);
        const auto connection = lease.connect(user);
        REQUIRE(connection.has_value());
        Descriptor peer = accept();
        REQUIRE(peer.get() >= 0);
        REQUIRE(run_until(worker.loop, [&] { return (user.all & palier::net::kWritable) != 0; }));
        std::string why;
        REQUIRE((*connection)->go_on_opening(why) == BackendConnection::Opening::open);
        return peer;
    }

    Descriptor listening;
    SharedPool shared;
    TestWorker worker;
    RecordingUser user;
};

}  // namespace

TEST_CASE("a lease counts as in flight until it ends, however it ends") {
    SharedPool shared({{.name = "a"}});
    TestWorker worker(shared, 2);
    const ServerState& state = shared.state("a");
    {
        Lease lease;
        CHECK_FALSE(lease.held());
        REQUIRE(worker.take(lease) == "a");
        CHECK(lease.held());
        CHECK(lease.connection() == nullptr);
        CHECK(state.in_flight() == 1);
        CHECK(state.counters[2].in_flight.load() == 1);
        lease.release();
        CHECK_FALSE(lease.held());
        CHECK(state.in_flight() == 0);
        lease.release();
        lease.discard();
        CHECK(state.in_flight() == 0);
        REQUIRE(worker.take(lease) == "a");
    }
    CHECK(state.in_flight() == 0);
    CHECK(state.counters[2].exchanges.load() == 2);
}

TEST_CASE("a released connection serves the next lease") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    BackendConnection* first = lease.connection();
    CHECK_FALSE(first->reused());
    lease.release();
    REQUIRE(site.worker.take(lease) == "a");
    CHECK(lease.reuse(site.user) == first);
    CHECK(first->reused());
    CHECK(first->still_open());
    CHECK_FALSE(site.somebody_connects());

    site.user.all = 0;
    peer.send("bytes for the one who holds it");
    CHECK(run_until(site.worker.loop, [&] { return (site.user.all & palier::net::kReadable) != 0; }));
}

TEST_CASE("the connection that was used last is used next") {
    Site site;
    Lease one;
    Lease two;
    const Descriptor first_peer = site.connect(one);
    site.user.all = 0;
    const Descriptor second_peer = site.connect(two);
    BackendConnection* first = one.connection();
    BackendConnection* second = two.connection();
    one.release();
    two.release();
    REQUIRE(site.worker.take(one) == "a");
    REQUIRE(site.worker.take(two) == "a");
    CHECK(one.reuse(site.user) == second);
    CHECK(two.reuse(site.user) == first);
}

TEST_CASE("a discarded connection is closed and never comes back") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    lease.discard();
    CHECK(peer.receive().empty());
    REQUIRE(site.worker.take(lease) == "a");
    CHECK(lease.reuse(site.user) == nullptr);
    site.worker.loop.run_once(0);
}

TEST_CASE("dropping a connection keeps the server") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    lease.drop_connection();
    CHECK(lease.held());
    CHECK(lease.connection() == nullptr);
    CHECK(site.shared.state("a").in_flight() == 1);
    CHECK(peer.receive().empty());
    CHECK(lease.connect(site.user).has_value());
}

TEST_CASE("an idle connection is closed by what its server does") {
    Site site;
    Lease lease;
    Descriptor peer = site.connect(lease);
    lease.release();
    SECTION("it closes") {
        peer.close();
    }
    SECTION("it resets") {
        const linger now{1, 0};
        ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        peer.close();
    }
    SECTION("it says what nobody asked for") {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    REQUIRE(run_until(site.worker.loop, [&] {
        REQUIRE(site.worker.take(lease) == "a");
        const bool gone = lease.reuse(site.user) == nullptr;
        lease.release();
        return gone;
    }));
}

TEST_CASE("a connection that is dead already is found out by still_open") {
    Site site;
    Lease lease;
    Descriptor peer = site.connect(lease);
    lease.release();
    peer.close();
    REQUIRE(site.worker.take(lease) == "a");
    BackendConnection* connection = lease.reuse(site.user);  // before its event was seen
    REQUIRE(connection != nullptr);
    CHECK(run_until(site.worker.loop, [&] { return !connection->still_open(); }));
}

TEST_CASE("idle connections close when their time is over, and when all are to close") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    SECTION("their time") {
        BackendConnection* connection = lease.connection();
        lease.release();
        connection->set_deadline(1);
    }
    SECTION("all") {
        lease.release();
        site.worker.pool.close_idle();
    }
    ::fcntl(peer.get(), F_SETFL, O_NONBLOCK);
    REQUIRE(run_until(site.worker.loop, [&] {
        char byte = 0;
        return ::recv(peer.get(), &byte, 1, 0) == 0;
    }));
    REQUIRE(site.worker.take(lease) == "a");
    CHECK(lease.reuse(site.user) == nullptr);
}

TEST_CASE("a deadline is told to whoever holds the connection") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    lease.connection()->set_deadline(1);
    REQUIRE(run_until(site.worker.loop, [&] { return site.user.deadlines == 1; }));
    CHECK(lease.connection()->still_open());
}

TEST_CASE("an update closes the idle connections of servers that left, and keeps the others'") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    BackendConnection* connection = lease.connection();
    lease.release();
    const std::uint16_t port = site.shared.server("a").address.port();
    site.shared.configure(pool_of({{.name = "a", .weight = 1, .port = port}}));
    site.worker.pool.update(site.shared.snapshot);
    REQUIRE(site.worker.take(lease) == "a");
    CHECK(lease.reuse(site.user) == connection);

    site.shared.configure(pool_of({{.name = "b", .port = port}}));
    site.worker.pool.update(site.shared.snapshot);
    lease.release();  // its server is gone: it is not kept
    CHECK(peer.receive().empty());
    site.worker.loop.run_once(0);
}

TEST_CASE("failures count once a lease, and only the first verdict counts") {
    Site site;
    ServerState& state = site.shared.state("a");
    Lease lease;
    REQUIRE(site.worker.take(lease) == "a");
    lease.failure("refused");
    lease.failure("refused again");
    lease.success();
    CHECK(state.failures_in_row.load() == 1);
    CHECK(state.counters[0].failures.load() == 1);
    lease.discard();
    REQUIRE(site.worker.take(lease) == "a");
    lease.success();
    lease.failure("too late");
    CHECK(state.failures_in_row.load() == 0);
}

TEST_CASE("an answer is a success only once nothing has failed after it") {
    Site site;
    Lease lease;
    site.shared.state("a").failures_in_row.store(2);
    REQUIRE(site.worker.take(lease) == "a");
    lease.answered(200);
    CHECK(site.shared.state("a").failures_in_row.load() == 2);
    lease.failure("its body was cut");
    lease.discard();
    CHECK(site.shared.state("a").failures_in_row.load() == 3);

    REQUIRE(site.worker.take(lease) == "a");
    lease.answered(200);
    lease.release();
    CHECK(site.shared.state("a").failures_in_row.load() == 0);

    REQUIRE(site.worker.take(lease) == "a");
    lease.answered(500);
    CHECK(site.shared.state("a").failures_in_row.load() == 1);
    lease.discard();
}

TEST_CASE("what is cut off from here is not the server's failure") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    site.user.all = 0;
    site.worker.pool.server_down(site.shared.state("a"), true);
    REQUIRE(run_until(site.worker.loop, [&] { return site.user.all != 0; }));
    char byte = 0;
    CHECK(lease.connection()->transport().read(&byte, 1).status == palier::net::IoStatus::failed);
    lease.failure("reset");
    lease.discard();
    CHECK(site.shared.state("a").failures_in_row.load() == 0);
    CHECK(site.shared.state("a").totals().failures == 0);
}

TEST_CASE("connections, tunnels and the time to an answer are counted") {
    Site site;
    const ServerState& state = site.shared.state("a");
    Lease idle;
    Lease tunnel;
    const Descriptor idle_peer = site.connect(idle);
    site.user.all = 0;
    const Descriptor tunnel_peer = site.connect(tunnel);
    CHECK(state.totals().connections == 2);
    idle.answered(200);
    tunnel.begin_tunnel();
    CHECK(state.totals().tunnels == 1);
    CHECK(state.totals().answers == 2);
    idle.release();
    CHECK(state.totals().connections == 2);
    tunnel.discard();
    CHECK(state.totals().tunnels == 0);
    CHECK(state.totals().connections == 1);

    const std::uint64_t before_us = state.totals().response_us;
    REQUIRE(site.worker.take(idle) == "a");
    const std::uint64_t leased_us = site.worker.loop.now_us();
    REQUIRE(run_until(site.worker.loop, [&] { return site.worker.loop.now_us() > leased_us + 2'000; }));
    idle.answered(200);
    CHECK(state.totals().response_us - before_us == site.worker.loop.now_us() - leased_us);
    CHECK(state.totals().ended == 2);
}

TEST_CASE("a connection that comes back to a server which was drained meanwhile is closed") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    PoolDecision decision;
    decision.servers["a"].admin = Admin::drained;
    site.shared.decide(decision);
    site.worker.pool.update(site.shared.snapshot);
    lease.release();
    CHECK(site.shared.state("a").totals().connections == 0);
}

TEST_CASE("connections that speak to a server in another way than it now asks for do not serve it") {
    Site site;
    Lease idle;
    Lease used;
    const Descriptor idle_peer = site.connect(idle);
    site.user.all = 0;
    const Descriptor used_peer = site.connect(used);
    idle.release();
    auto encrypted = std::make_shared<PoolSnapshot>(*site.shared.snapshot);
    encrypted->servers[0].tls =
        *palier::tls::ClientContext::make({.verify = false, .ca = "", .server_name = ""}, "a");
    site.worker.pool.update(encrypted);
    CHECK(site.shared.state("a").totals().connections == 1);
    used.release();
    CHECK(site.shared.state("a").totals().connections == 0);
}

TEST_CASE("closing what a server has: idle connections a few at a time, tunnels only if asked") {
    Site site;
    std::vector<Lease> leases(4);
    std::vector<Descriptor> peers;
    for (Lease& lease : leases) {
        site.user.all = 0;
        peers.push_back(site.connect(lease));
    }
    leases[0].release();
    leases[1].release();
    leases[2].begin_tunnel();
    const ServerState& state = site.shared.state("a");
    const auto close_some = [&](bool tunnels, std::size_t most) {
        site.worker.pool.close_some(state, tunnels, most);
        return most;
    };
    CHECK(close_some(false, 1) == 0);
    CHECK(state.totals().connections == 3);
    CHECK(close_some(false, 10) == 9);
    CHECK(state.totals().connections == 2);
    CHECK(site.user.unwanted == 0);
    CHECK(close_some(true, 10) == 9);
    CHECK(site.user.unwanted == 1);
    // It was told once, and may take its time.
    CHECK(close_some(true, 10) == 10);
    CHECK(site.user.unwanted == 1);
    leases[2].discard();
    CHECK(state.totals().tunnels == 0);
    CHECK(state.totals().connections == 1);
}

TEST_CASE("a pool that has left serves who is attached, keeps no connection, and then is over") {
    Site site;
    Lease lease;
    const Descriptor peer = site.connect(lease);
    lease.release();
    site.worker.pool.attach();
    site.worker.pool.retire();
    site.worker.loop.run_once(0);
    CHECK(site.shared.state("a").totals().connections == 0);
    CHECK_FALSE(site.worker.pool.over());
    site.user.all = 0;
    const Descriptor again = site.connect(lease);
    lease.release();
    CHECK(site.shared.state("a").totals().connections == 0);
    site.worker.pool.detach();
    CHECK(site.worker.pool.over());
}
