#include "palier/control/last_clients.h"

#include "catch.h"
#include "commands_fixture.h"
#include "control/take_over_channel.h"

#include <memory>
#include <optional>

using namespace palier;
using namespace palier::control;
using namespace palier::test;

namespace {

/// Two paliers of one configuration, the channel between them, and their loops turned in turns.
struct Two {
    Two() {
        const auto ends = open_channel();
        REQUIRE(ends);
        last_clients.emplace(old.loop, (*ends)[0], old.engine, old.overlay);
        predecessors.emplace(now.loop, now.engine);
        predecessors->add((*ends)[1]);
    }

    template <typename Condition>
    [[nodiscard]] bool until(Condition condition) {
        return run_until(old.loop, [&] {
            now.loop.run_once(0);
            return condition();
        });
    }
    void drain(const std::string& server) {
        CHECK(now.overlay.set_admin("web", server, pool::Admin::drained, {}).empty());
        predecessors->decide(now.overlay.exported(), [this] { ++done; });
    }

    Office old;
    Office now;
    std::optional<LastClients> last_clients;
    std::optional<Predecessors> predecessors;
    int done = 0;
};

}  // namespace

TEST_CASE("a decision is done when it is in force in the palier before") {
    Two two;
    two.old.engine.held = true;
    two.drain("front1");
    CHECK(two.until([&] { return two.old.engine.publications == 1; }));
    CHECK(two.old.server(0, 0).admin == pool::Admin::drained);
    CHECK(two.done == 0);
    two.old.engine.release();
    CHECK(two.until([&] { return two.done == 1; }));

    SECTION("what it knows already is not told again") {
        two.predecessors->decide(two.now.overlay.exported(), [&] { ++two.done; });
        CHECK(two.done == 2);
    }
    SECTION("one after the other is") {
        two.drain("front2");
        two.drain("spare");
        CHECK(two.until([&] { return two.done == 3; }));
        CHECK(two.old.server(0, 1).admin == pool::Admin::drained);
        CHECK(two.old.server(0, 2).admin == pool::Admin::drained);
    }
}

TEST_CASE("connections are closed in the palier before too") {
    Two two;
    int done = 0;
    two.predecessors->close_connections("web/front1", true, [&] { ++done; });
    two.predecessors->close_connections("web/front2", false, [&] { ++done; });
    two.predecessors->close_connections("web/unheard-of", false, [&] { ++done; });
    CHECK(two.until([&] { return done == 3; }));
    CHECK(two.old.engine.closed == std::vector<std::string>{"web/front1 with tunnels", "web/front2"});
}

TEST_CASE("what is in flight in the palier before is counted, and known before a decision is done") {
    Two two;
    pool::ServerState& there = *two.old.server(0, 0).state;
    pool::ServerState& here = *two.now.server(0, 0).state;
    there.counters[0].in_flight.store(3);
    there.counters[0].tunnels.store(1);
    two.drain("front1");
    CHECK(two.until([&] { return two.done == 1; }));
    CHECK(here.in_flight() == 3);
    CHECK(here.totals().tunnels == 1);
    CHECK(here.totals().ended == 0);

    SECTION("it falls") {
        there.counters[0].in_flight.store(1);
        CHECK(two.until([&] { return here.in_flight() == 1; }));
        there.counters[0].in_flight.store(0);
        CHECK(two.until([&] { return here.in_flight() == 0; }));
    }
    SECTION("it ends with that one") {
        two.last_clients.reset();
        CHECK(two.until([&] { return two.predecessors->channels().empty(); }));
        CHECK(here.in_flight() == 0);
        CHECK(here.totals().tunnels == 0);
    }
    SECTION("with another one's") {
        Office third;
        const auto ends = open_channel();
        REQUIRE(ends);
        third.server(0, 0).state->counters[0].in_flight.store(4);
        std::optional<LastClients> more(std::in_place, third.loop, (*ends)[0], third.engine, third.overlay);
        two.predecessors->add((*ends)[1]);
        CHECK(two.until([&] { return here.in_flight() == 7; }));
        more.reset();
        CHECK(two.until([&] { return here.in_flight() == 3; }));
    }
}

TEST_CASE("the next palier gets the channel, and is told all anew") {
    Two two;
    two.old.server(0, 0).state->counters[0].in_flight.store(3);
    two.drain("front1");
    CHECK(two.until([&] { return two.done == 1; }));
    Office next;
    Predecessors its(next.loop, next.engine);
    its.add(::dup(two.predecessors->channels().front()));
    two.predecessors->leave();
    CHECK(two.now.server(0, 0).state->in_flight() == 0);
    int done = 0;
    its.decide(next.overlay.exported(), [&] { ++done; });
    CHECK(two.until([&] {
        next.loop.run_once(0);
        return done == 1;
    }));
    CHECK(next.server(0, 0).state->in_flight() == 3);
    CHECK(two.old.server(0, 0).admin == pool::Admin::enabled);
}

TEST_CASE("the end of the palier before holds nobody up") {
    Two two;
    two.old.engine.held = true;
    two.drain("front1");
    CHECK(two.until([&] { return two.old.engine.publications == 1; }));
    two.last_clients.reset();
    CHECK(two.until([&] { return two.predecessors->channels().empty(); }));
    CHECK(two.done == 1);
    two.old.engine.release();  // its workers answer to nobody
    two.drain("front2");
    CHECK(two.done == 2);
}

TEST_CASE("whoever is answered because a palier has ended may decide something at once") {
    Two two;
    two.old.engine.held = true;
    CHECK(two.now.overlay.set_admin("web", "front1", pool::Admin::drained, {}).empty());
    two.predecessors->decide(two.now.overlay.exported(), [&] {
        ++two.done;
        two.predecessors->decide("another", [&] { ++two.done; });
    });
    CHECK(two.until([&] { return two.old.engine.publications == 1; }));
    SECTION("which is heard") {
        two.last_clients.reset();
        CHECK(two.until([&] { return two.done == 2; }));
    }
    SECTION("which is found out by telling it something") {
        two.last_clients.reset();
        two.predecessors->close_connections("web/front1", false, [&] { ++two.done; });
        CHECK(two.done == 3);
    }
    SECTION("or has become the next palier's") {
        two.predecessors->leave();
        CHECK(two.done == 2);
    }
    CHECK(two.predecessors->channels().empty());
}

TEST_CASE("whoever waits when this palier ends is answered") {
    Two two;
    two.old.engine.held = true;
    two.drain("front1");
    two.predecessors.reset();
    CHECK(two.done == 1);
}

TEST_CASE("nonsense on the channel is no harm") {
    Office old;
    Office now;
    const auto old_ends = open_channel();
    const auto now_ends = open_channel();
    REQUIRE((old_ends && now_ends));
    LastClients last_clients(old.loop, (*old_ends)[0], old.engine, old.overlay);
    Predecessors predecessors(now.loop, now.engine);
    predecessors.add((*now_ends)[0]);
    const Descriptor to_old((*old_ends)[1]);
    const Descriptor to_new((*now_ends)[1]);
    to_old.send("{");
    REQUIRE(tell(to_old.get(), {.step = "decisions", .number = 1, .text = "no JSON"}));
    REQUIRE(tell(to_old.get(), {.step = "close", .number = 2, .text = R"({"server": 7})"}));
    REQUIRE(tell(to_old.get(), {.step = "unheard-of", .number = 3}));
    to_new.send("[]");
    REQUIRE(tell(to_new.get(), {.step = "done", .number = 77}));
    for (const char* text : {"no JSON", "[1]", R"({"web/front1": "many"})", R"({"web/front1": [-1, {}]})"})
        REQUIRE(tell(to_new.get(), {.step = "loads", .text = text}));
    REQUIRE(tell(to_new.get(), {.step = "loads", .text = R"({"web/front1": [5], "web/gone": [1, 1]})"}));
    CHECK(run_until(now.loop, [&] { return now.server(0, 0).state->in_flight() == 5; }));
    std::vector<std::uint64_t> done;
    CHECK(run_until(old.loop, [&] {
        const Heard heard = hear(to_old.get());
        if (heard.message && heard.message->step == "done") done.push_back(heard.message->number);
        return done.size() == 2;
    }));
    CHECK(done == std::vector<std::uint64_t>{1, 2});
    CHECK(old.engine.publications == 0);
    CHECK(predecessors.channels().size() == 1);
}
