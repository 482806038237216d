#include "palier/control/events.h"

#include "catch.h"
#include "control/control_fixture.h"
#include "palier/pool/transition.h"

#include <thread>

namespace palier::control {
namespace {

using nlohmann::json;
using test::ControlClient;
using test::ControlFixture;

constexpr pool::Transition kDown{
    .from = "up", .to = "down", .reason = "HTTP 503", .former_ms = 1500, .bad = false};

TEST_CASE_METHOD(test::QuietLog, "followers hear of transitions from other threads, with the time") {
    net::Loop loop;
    Events events(loop);
    const auto server = std::make_shared<pool::ServerState>("web/front1", "front1", 1U);
    CHECK_FALSE(events.followed());
    pool::announce(*server, kDown);
    std::vector<json> heard;
    const std::uint64_t id = events.follow([&](const json& event) { heard.push_back(event); });
    CHECK(events.followed());
    std::thread([&] { pool::announce(*server, kDown); }).join();
    REQUIRE(test::run_until(loop, [&] { return !heard.empty(); }));
    CHECK(heard.size() == 1);
    const std::string time = heard[0]["time"];
    CHECK(time.size() == 24);
    CHECK(time[10] == 'T');
    CHECK(time.ends_with('Z'));
    heard[0].erase("time");
    CHECK(heard[0] == json{{"event", "server"},
                           {"server", "web/front1"},
                           {"from", "up"},
                           {"to", "down"},
                           {"reason", "HTTP 503"},
                           {"after_ms", 1500}});
    events.unfollow(id);
    events.unfollow(id);
    CHECK_FALSE(events.followed());
    pool::announce(*server, kDown);
    events.tell({{"event", "other"}});
    loop.run_once(0);
    CHECK(heard.size() == 1);
}

TEST_CASE_METHOD(test::QuietLog, "more transitions than the control thread can take are counted") {
    net::Loop loop;
    Events events(loop);
    const auto server = std::make_shared<pool::ServerState>("web/front1", "front1", 1U);
    std::size_t heard = 0;
    std::uint64_t lost = 0;
    static_cast<void>(events.follow([&](const json& event) {
        ++heard;
        lost += event.value("transitions", std::uint64_t{0});
    }));
    for (int i = 0; i < 10'100; ++i)
        pool::announce(*server, kDown);
    REQUIRE(test::run_until(loop, [&] { return heard >= 10'001; }));
    CHECK(lost == 100);
    pool::announce(*server, kDown);
    REQUIRE(test::run_until(loop, [&] { return heard == 10'002; }));
    CHECK(lost == 100);
}

TEST_CASE("the command events follows until its client has gone") {
    ControlFixture control;
    Events events(control.loop);
    add_events_command(control.commands, events);
    ControlClient client = control.client();
    ControlClient half = control.client();
    client.send("events\n");
    half.send("events\n");
    half.half_close();
    REQUIRE(control.until_lines(client, 1));
    REQUIRE(control.until_lines(half, 1));
    CHECK(client.lines()[0]["event"] == "following");
    events.tell({{"event", "reload"}});
    REQUIRE(control.until_lines(client, 2));
    REQUIRE(control.until_lines(half, 2));
    CHECK(client.lines()[1]["event"] == "reload");
    client.close();
    half.close();
    REQUIRE(control.until([&] { return !events.followed(); }));
}

TEST_CASE("a follower that does not read is let go") {
    ControlFixture control;
    Events events(control.loop);
    add_events_command(control.commands, events);
    ControlClient client = control.client();
    client.send("events\n");
    REQUIRE(control.until_lines(client, 1));
    const std::string text(1000, 'x');
    int told = 0;
    REQUIRE(control.until([&] {
        for (int i = 0; i < 10; ++i, ++told)
            events.tell({{"event", "x"}, {"text", text}});
        return !events.followed();
    }));
    CHECK(told < 2500);
}

}  // namespace
}  // namespace palier::control
