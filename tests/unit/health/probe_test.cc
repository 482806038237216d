#include "palier/health/probe.h"

#include "catch.h"
#include "probe_fixture.h"

#include <optional>

#include <sys/resource.h>

using namespace palier;
using namespace palier::health;
using namespace palier::test;
using config::ProbeType;

namespace {

/// One probe and what came of it.
struct Ground : ProbeGround, ProbeUser {
    explicit Ground(ProbeType type = ProbeType::http) {
        health.type = type;
        health.timeout = config::Duration(100);
    }

    void on_result(const Result& found) override { result = found; }
    void on_local_failure(std::string_view why) override { local = why; }

    void start(const ScriptedServer& server) {
        result.reset();
        local.clear();
        target.address = server.address;
        target.host = "front";
        probe.start(target, health);
    }
    /// The reason, or "well".
    [[nodiscard]] std::string run(const ScriptedServer& server) {
        start(server);
        return outcome();
    }
    [[nodiscard]] std::string outcome() {
        if (!run_until(loop, [this] { return result || !local.empty(); })) return "no result";
        if (!local.empty()) return "local: " + local;
        return result->well ? "well" : result->reason;
    }

    ProbeEnvironment environment{loop, tls, scratch};
    config::HealthConfig health;
    ProbeTarget target;
    std::optional<Result> result;
    std::string local;
    Probe probe{environment, *this};
};

}  // namespace

TEST_CASE("a server that answers is well, and the connection is closed in order") {
    Ground ground;
    ScriptedServer server(ground.loop, answering(kOk));
    CHECK(ground.run(server) == "well");
    CHECK_FALSE(ground.probe.running());
    REQUIRE(run_until(ground.loop, [&] { return !server.last().socket.open(); }));
    CHECK(server.accepted() == 1);
}

TEST_CASE("each way to fail has its words") {
    Ground ground;
    const std::string half = "HTTP/1.1 200 OK\r\nX-Half:";

    SECTION("silence") {
        ScriptedServer server(ground.loop);
        CHECK(ground.run(server) == "accepted and said nothing for 100ms");
        REQUIRE(run_until(ground.loop, [&] { return !server.last().socket.open(); }));
        CHECK(server.last().reset);
    }
    SECTION("half an answer") {
        ScriptedServer server(ground.loop, answering(half));
        CHECK(ground.run(server) == "half an answer after 100ms (an unfinished head)");
        REQUIRE(run_until(ground.loop, [&] { return !server.last().socket.open(); }));
        CHECK(server.last().reset);
    }
    SECTION("closed at once") {
        ScriptedServer server(ground.loop, &ScriptedServer::nothing, [](Peer& peer) { peer.socket.close(); });
        // Whether its reset comes before the end is read depends on the turn.
        CHECK_THAT(ground.run(server), Catch::EndsWith("before it answered"));
    }
    SECTION("closed when asked") {
        ScriptedServer server(ground.loop, answering("", true));
        CHECK(ground.run(server) == "closed before it answered");
    }
    SECTION("reset when asked") {
        ScriptedServer server(ground.loop, [](Peer& peer) { peer.socket.close_with_reset(); });
        CHECK(ground.run(server) == "reset before it answered");
    }
    SECTION("reset within the answer") {
        bool first = true;
        ScriptedServer server(ground.loop, [&](Peer& peer) {
            if (std::exchange(first, false)) peer.say(half);
        });
        ground.health.timeout = config::Duration(5'000);
        ground.start(server);
        REQUIRE(run_until(ground.loop, [&] { return !first; }));
        ground.loop.run_once(20);  // half of it is read
        server.last().socket.close_with_reset();
        CHECK(ground.outcome() == "reset after half an answer (an unfinished head)");
    }
    SECTION("refused") {
        ScriptedServer server(ground.loop);
        server.refuse();
        CHECK(ground.run(server) == "connect refused");
    }
    SECTION("a status") {
        ScriptedServer server(ground.loop, answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"));
        CHECK(ground.run(server) == "HTTP 503, expected 200-399");
    }
    SECTION("unreachable") {
        ScriptedServer server(ground.loop);
        ground.target.address = base::SocketAddress(*base::IpAddress::parse("255.255.255.255"), 1);
        ground.target.host = "x";
        ground.probe.start(ground.target, ground.health);
        CHECK_THAT(ground.outcome(), Catch::StartsWith("connect: "));
    }
}

TEST_CASE("tcp: an open connection is enough, also one that is closed at once") {
    Ground ground(ProbeType::tcp);
    ScriptedServer quiet(ground.loop);
    CHECK(ground.run(quiet) == "well");
    REQUIRE(run_until(ground.loop, [&] { return quiet.accepted() == 1 && !quiet.last().socket.open(); }));
    CHECK(quiet.last().closed);
    ScriptedServer curt(ground.loop, &ScriptedServer::nothing, [](Peer& peer) { peer.socket.close(); });
    CHECK(ground.run(curt) == "well");
}

TEST_CASE("one deadline spans all stages, however lively the answer is") {
    Ground ground;
    ScriptedServer server(ground.loop, answering("HTTP/1.1 200 OK\r\nX: "));
    ground.start(server);
    const std::uint64_t begun = base::monotonic_ms();
    std::uint64_t last = 0;
    // A byte in each millisecond: never silent, never done.
    REQUIRE(run_until(ground.loop, [&] {
        const std::uint64_t now = base::monotonic_ms();
        const bool answered =
            server.accepted() == 1 && server.last().heard.find("\r\n\r\n") != std::string::npos;
        if (now != last && answered && server.last().socket.open()) server.last().say("y");
        last = now;
        static_cast<void>(ground.loop.uv());  // the next turn does not wait
        return ground.result.has_value();
    }));
    CHECK(ground.result->reason == "half an answer after 100ms (an unfinished head)");
    CHECK(base::monotonic_ms() - begun < 2'000);
}

TEST_CASE("a server that sends much at once takes turns with the others") {
    Ground ground;
    ground.environment.scratch = ground.environment.scratch.first(1024);
    ground.health.expect_body = "never";
    ground.health.timeout = config::Duration(5'000);
    ScriptedServer server(ground.loop, answering("HTTP/1.1 200 OK\r\n\r\n" + std::string(128 << 10, 'x')));
    const std::uint64_t before = ground.loop.turn();
    CHECK(ground.run(server) != "well");
    CHECK(ground.loop.turn() - before > 16);  // 64 KiB are looked at
}

TEST_CASE("a request that the socket takes only in parts arrives whole") {
    Ground ground;
    ground.health.timeout = config::Duration(5'000);
    ground.health.headers.push_back({"X-Large", std::string(12 << 20, 'l')});
    std::size_t heard = 0;
    ScriptedServer server(ground.loop, [&](Peer& peer) {
        heard = peer.heard.size();
        answering(kOk)(peer);
    });
    CHECK(ground.run(server) == "well");
    CHECK(heard > 12 << 20);
}

TEST_CASE("keep_alive: one connection carries many probes") {
    Ground ground;
    ground.health.keep_alive = true;
    ScriptedServer server(ground.loop, answering(kOk));
    for (int i = 0; i < 5; ++i)
        CHECK(ground.run(server) == "well");
    CHECK(server.accepted() == 1);
    ground.probe.cancel();
    REQUIRE(run_until(ground.loop, [&] { return !server.last().socket.open(); }));
}

TEST_CASE("keep_alive: what was closed between two probes is connected anew") {
    Ground ground;
    ground.health.keep_alive = true;
    ScriptedServer server(ground.loop, answering(kOk));
    REQUIRE(ground.run(server) == "well");

    SECTION("and the loop has seen it") {
        server.last().socket.close();
        ground.loop.run_once(20);
    }
    SECTION("and the loop has not seen it") {
        server.last().socket.close();
    }
    SECTION("or spoke unasked") {
        server.last().say("HTTP/1.1 408 Late\r\n\r\n");
    }
    CHECK(ground.run(server) == "well");
    CHECK(server.accepted() == 2);
}

TEST_CASE("keep_alive: closed when asked again, a fresh connection is tried, once") {
    Ground ground;
    ground.health.keep_alive = true;
    bool answers_afresh = true;
    int asked = 0;
    ScriptedServer server(ground.loop, [&](Peer& peer) {
        const bool fresh =
            &peer == server.peers.back().get() && peer.heard.starts_with("GET") && ++asked != 2;
        if (asked == 2 || (asked > 2 && !answers_afresh)) {
            peer.socket.close_with_reset();
        } else if (fresh) {
            answering(kOk)(peer);
        }
    });
    REQUIRE(ground.run(server) == "well");
    SECTION("which answers") {
        CHECK(ground.run(server) == "well");
    }
    SECTION("which does not either") {
        answers_afresh = false;
        CHECK(ground.run(server) == "reset before it answered");
    }
    CHECK(server.accepted() == 2);
    CHECK(asked == 3);
}

TEST_CASE("a cancelled probe gives no result and leaves nothing open") {
    Ground ground;
    ScriptedServer server(ground.loop);
    const std::size_t before = open_descriptors();
    ground.start(server);
    REQUIRE(run_until(ground.loop, [&] { return server.accepted() == 1; }));
    ground.probe.cancel();
    CHECK_FALSE(ground.probe.running());
    REQUIRE(run_until(ground.loop, [&] { return !server.last().socket.open(); }));
    const std::uint64_t late = base::monotonic_ms() + 150;
    REQUIRE(run_until(ground.loop, [&] { return base::monotonic_ms() > late; }));
    CHECK_FALSE(ground.result);
    CHECK(open_descriptors() == before);
}

TEST_CASE("no descriptor left is nobody's illness") {
    Ground ground;
    ScriptedServer server(ground.loop, answering(kOk));
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit none{3, limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const std::string outcome = ground.run(server);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK_THAT(outcome, Catch::StartsWith("local: socket: "));
    CHECK_FALSE(ground.result);
    CHECK(ground.run(server) == "well");
}

TEST_CASE("100,000 probes of servers good and bad leave no descriptor behind") {
    ProbeGround ground;
    ScriptedServer good(ground.loop, answering(kOk));
    ScriptedServer closing(ground.loop, answering(kOk, true));
    ScriptedServer garbage(ground.loop, answering(std::string("\x00\xff\x00", 3), true));
    ScriptedServer resetting(ground.loop, [](Peer& peer) { peer.socket.close_with_reset(); });
    ScriptedServer curt(ground.loop, &ScriptedServer::nothing, [](Peer& peer) { peer.socket.close(); });
    ScriptedServer refusing(ground.loop);
    refusing.refuse();
    const std::array<ScriptedServer*, 6> servers{&good, &closing, &garbage, &resetting, &curt, &refusing};
    const ProbeEnvironment environment{ground.loop, ground.tls, ground.scratch};

    /// Asks the same server again and again, each time in the next turn.
    struct Asker final : ProbeUser, net::Task {
        Asker(const ProbeEnvironment& on, const ScriptedServer& server, int times)
            : loop(on.loop), left(times), probe(on, *this) {
            health.timeout = config::Duration(10'000);
            target.address = server.address;
            target.host = "front";
            loop.again(*this);
        }
        void on_again() override { probe.start(target, health); }
        void on_result(const Result& result) override {
            if (result.well) ++well;
            if (--left > 0) loop.again(*this);
        }
        // No port for the moment.
        void on_local_failure(std::string_view) override { loop.again(*this); }

        net::Loop& loop;
        int left;
        int well = 0;
        config::HealthConfig health;
        ProbeTarget target;
        Probe probe;
    };

    ground.loop.run_once(0);
    const std::size_t before = open_descriptors();
    constexpr int kAskersEach = 8;
    constexpr int kTimes = 100'000 / (kAskersEach * 6) + 1;
    std::vector<std::unique_ptr<Asker>> askers;
    for (int i = 0; i < kAskersEach; ++i) {
        for (const ScriptedServer* server : servers)
            askers.push_back(std::make_unique<Asker>(environment, *server, kTimes));
    }
    const std::uint64_t end = base::monotonic_ms() + 120'000;
    const auto asking = [&] {
        return std::ranges::any_of(askers, [](const auto& asker) { return asker->left > 0; });
    };
    while (asking() && base::monotonic_ms() < end) {
        ground.loop.run_once(20);
        for (ScriptedServer* server : servers)
            server->sweep();
    }
    REQUIRE_FALSE(asking());
    // The peers' ends are theirs to close; that takes them a turn or two.
    CHECK(run_until(ground.loop, [&] {
        for (ScriptedServer* server : servers)
            server->sweep();
        return open_descriptors() == before;
    }));
    for (std::size_t i = 0; i < askers.size(); ++i)
        CHECK(askers[i]->well == (i % servers.size() < 2 ? kTimes : 0));
}
