#include "control/commands_fixture.h"
#include "control/rollout_record.h"
#include "palier/pool/standing.h"

namespace palier::control {
namespace {

using nlohmann::json;
using pool::Admin;

TEST_CASE("a decision is acknowledged once it is in force everywhere, and not before") {
    Office office;
    office.engine.held = true;
    for (const char* line :
         {"drain web/front1", "disable web/front1", "enable web/front1", "weight web/front1 5",
          "only web/front2", "only web off", "maintenance web on", "drain web/front1 wait=0s"}) {
        INFO(line);
        office.engine.held = true;
        const int before = office.engine.publications;
        const auto reply = office.start(line);
        CHECK(office.engine.publications == before + 1);
        CHECK(reply->last.is_null());
        while (!office.engine.owed.empty())
            office.engine.release();
        CHECK(reply->last.value("ok", false));
    }
}

TEST_CASE("drain, disable and enable say what is in force, and idle connections are closed") {
    Office office;
    pool::ServerState& state = *office.server(0, 0).state;
    state.counters[0].in_flight = 3;
    state.counters[0].tunnels = 1;
    const json drained = office.done("drain web/front1 by=anna reason=\"new kernel\"");
    CHECK(drained == json{{"server", "web/front1"},
                          {"admin", "drained"},
                          {"weight", 100},
                          {"in_flight", 3},
                          {"tunnels", 1},
                          {"ok", true}});
    CHECK(office.server(0, 0).admin == Admin::drained);
    CHECK(office.engine.closed == std::vector<std::string>{"web/front1"});
    const auto entries = office.overlay.entries("web", "front1");
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].stamp.uid == 1000);
    CHECK(entries[0].stamp.pid == 4711);
    CHECK(entries[0].stamp.by == "anna");
    CHECK(entries[0].stamp.reason == "new kernel");
    CHECK_FALSE(entries[0].stamp.until_ms);

    CHECK(office.done("disable web/front1")["admin"] == "disabled");
    CHECK(office.server(0, 0).admin == Admin::disabled);
    CHECK(office.engine.closed.size() == 2);
    CHECK(office.done("enable web/front1")["admin"] == "enabled");
    CHECK(office.overlay.entries("web", "front1").empty());
    CHECK(office.engine.closed.size() == 2);
}

TEST_CASE("tunnels are cut when asked for") {
    Office office;
    (void)office.done("drain web/front1 tunnels=wait");
    (void)office.done("drain web/front1 tunnels=close");
    CHECK(office.engine.closed == std::vector<std::string>{"web/front1", "web/front1 with tunnels"});
    CHECK(office.error("drain web/front1 tunnels=cut") ==
          "tunnels must be \"wait\" or \"close\", not \"cut\"");
    CHECK(office.error("drain web/front1 tunnels=").starts_with("tunnels must be"));
}

TEST_CASE("a server that is put back warms up, one that was at work does not") {
    Office office;
    auto& from = office.server(0, 0).state->slow_start_from_ms;
    (void)office.done("enable web/front1");
    CHECK(from == 0);
    (void)office.done("drain web/front1");
    CHECK(from == 0);
    (void)office.done("enable web/front1");
    CHECK(from >= office.loop.now_ms());
    (void)office.done("drain web/front2");  // has no slow start
    (void)office.done("enable web/front2");
    CHECK(office.server(0, 1).state->slow_start_from_ms == 0);
}

TEST_CASE("whatever kept a server from work, it warms up afterwards") {
    Office office;
    auto& from = office.server(0, 0).state->slow_start_from_ms;
    const auto warms_up_after = [&](const std::string& out, const std::string& back) {
        (void)office.done(out);
        from = 0;
        (void)office.done(back);
        return from != 0;
    };
    CHECK(warms_up_after("disable web/front1", "enable web/front1"));
    CHECK(warms_up_after("only web/front2", "only web off"));
    CHECK(warms_up_after("maintenance web on", "maintenance web off"));
    // It is not back at work yet, or was all the time.
    (void)office.done("only web/front2");
    CHECK_FALSE(warms_up_after("drain web/front1", "enable web/front1"));
    (void)office.done("only web/front1");
    CHECK_FALSE(warms_up_after("weight web/front1 5", "only web off"));
}

TEST_CASE("enabling an active server ends what failback = manual holds on to") {
    Office office;
    const auto hold = [&] {
        const auto& pool = *office.engine.snapshot().pools[0];
        pool.state->held_by_passive = pool.era;
        REQUIRE(office.done("pools web")["pools"][0]["held_by_passive"] == true);
    };
    const auto held = [&] { return office.done("pools web")["pools"][0]["held_by_passive"] == true; };
    hold();
    (void)office.done("enable web/spare");
    CHECK(held());
    (void)office.done("enable web/front1");
    CHECK_FALSE(held());
    (void)office.done("disable web/front1");
    hold();
    (void)office.done("enable web/front1");
    CHECK_FALSE(held());
}

TEST_CASE("a drain with wait tells the falling numbers until nothing is in flight") {
    Office office;
    pool::WorkerCounters& counters = office.server(0, 0).state->counters[0];
    counters.in_flight = 2;
    counters.tunnels = 1;
    const auto reply = office.start("drain web/front1 wait=1h");
    CHECK(reply->last.is_null());
    CHECK(reply->events == std::vector<json>{{{"event", "draining"}, {"in_flight", 2}, {"tunnels", 1}}});
    counters.in_flight = 1;
    REQUIRE(test::run_until(office.loop, [&] { return reply->events.size() == 2; }));
    CHECK(reply->events[1] == json{{"event", "draining"}, {"in_flight", 1}, {"tunnels", 1}});
    CHECK(reply->last.is_null());
    counters.tunnels = 0;
    counters.in_flight = 0;
    REQUIRE(test::run_until(office.loop, [&] { return !reply->last.is_null(); }));
    CHECK(reply->last == json{{"server", "web/front1"},
                              {"admin", "drained"},
                              {"weight", 100},
                              {"in_flight", 0},
                              {"tunnels", 0},
                              {"drained", true},
                              {"ok", true}});
    CHECK(reply->events.size() == 2);
}

TEST_CASE("a wait for what is done already ends at once") {
    Office office;
    CHECK(office.done("drain web/front1 wait=30s")["drained"] == true);
    CHECK(office.done("drain shop/till wait=30s")["drained"] == true);  // without an address
}

TEST_CASE("when its time is up, a wait fails with what is left, and the server stays drained") {
    Office office;
    pool::WorkerCounters& counters = office.server(0, 0).state->counters[0];
    counters.in_flight = 2;
    counters.tunnels = 1;
    const json late = office.run("drain web/front1 wait=0s");
    CHECK(late["error"] ==
          "2 exchanges are still in flight after 0s, of which 1 tunnel; web/front1 stays drained");
    CHECK(late["in_flight"] == 2);
    CHECK(late["tunnels"] == 1);
    CHECK(office.server(0, 0).admin == Admin::drained);
    counters.in_flight = 1;
    counters.tunnels = 0;
    const auto reply = office.start("drain web/front1 wait=150ms");
    CHECK(reply->last.is_null());
    REQUIRE(test::run_until(office.loop, [&] { return !reply->last.is_null(); }));
    CHECK(reply->last["error"] == "1 exchange is still in flight after 150ms; web/front1 stays drained");
    CHECK(office.server(0, 0).admin == Admin::drained);
}

TEST_CASE("tunnels that begin during a wait are cut too when asked for") {
    Office office;
    pool::WorkerCounters& counters = office.server(0, 0).state->counters[0];
    counters.in_flight = 1;
    const auto reply = office.start("drain web/front1 wait=1h tunnels=close");
    counters.tunnels = 1;
    REQUIRE(test::run_until(office.loop, [&] { return office.engine.closed.size() == 2; }));
    CHECK(office.engine.closed[1] == "web/front1 with tunnels");
    counters.in_flight = 0;
    counters.tunnels = 0;
    REQUIRE(test::run_until(office.loop, [&] { return !reply->last.is_null(); }));
}

TEST_CASE("a client that leaves, and one that enables the server, end a wait and nothing else") {
    Office office;
    office.server(0, 0).state->counters[0].in_flight = 1;
    const auto leaves = office.start("drain web/front1 wait=1h");
    const auto stays = office.start("drain web/front1 wait=1h");
    leaves->gone = true;
    REQUIRE(test::run_until(office.loop, [&] { return leaves.use_count() == 1; }));
    CHECK(leaves->last.is_null());
    CHECK(office.server(0, 0).admin == Admin::drained);
    CHECK(stays->last.is_null());
    (void)office.done("enable web/front1");
    REQUIRE(test::run_until(office.loop, [&] { return !stays->last.is_null(); }));
    CHECK(stays->last["error"] == "web/front1 is not drained any more: that was changed meanwhile");
    CHECK(stays->last["in_flight"] == 1);
}

TEST_CASE("a weight at run time, and back") {
    Office office;
    CHECK(office.done("weight web/front2 0")["weight"] == 0);
    CHECK(office.server(0, 1).weight == 0);
    CHECK(office.done("weight web/front2 65535")["weight"] == 65'535);
    CHECK(office.server(0, 1).weight == 65'535);
    CHECK(office.done("weight web/front2 default")["weight"] == 50);
    CHECK(office.overlay.decisions().empty());
    for (const char* bad : {"65536", "-1", "1.5", "many", "\"\"", "99999999999999999999", "+1", "5x"}) {
        CHECK(office.error("weight web/front2 " + std::string(bad))
                  .starts_with(
                      "a weight is a number from 0 to 65535, or \"default\" for the configuration's, not"));
    }
    CHECK(office.engine.publications == 3);
}

TEST_CASE("only one server gets the traffic, but not one that is out of work") {
    Office office;
    CHECK(office.done("only web/spare") == json{{"pool", "web"}, {"only", "spare"}, {"ok", true}});
    CHECK(office.server(0, 0).admin == Admin::left_out);
    CHECK(office.done("pools web")["pools"][0]["only"] == "spare");
    CHECK(office.done("only web off") == json{{"pool", "web"}, {"only", ""}, {"ok", true}});
    CHECK(office.server(0, 0).admin == Admin::enabled);
    (void)office.done("drain web/front1");
    CHECK(office.error("only web/front1") == "web/front1 is drained, and would get nothing: enable it first");
    (void)office.done("disable web/front2");
    CHECK(office.error("only web/front2") ==
          "web/front2 is disabled, and would get nothing: enable it first");
    CHECK(office.overlay.decisions().at("web").only.empty());
    CHECK(office.error("only web") == "\"web\" does not name a server, as web/front1 does");
    CHECK(office.error("only web on") == "only POOL/SERVER, or only POOL off; not \"on\"");
}

TEST_CASE("maintenance on and off") {
    Office office;
    CHECK(office.done("maintenance web on ttl=1h") ==
          json{{"pool", "web"}, {"maintenance", true}, {"ok", true}});
    CHECK(office.engine.snapshot().pools[0]->maintenance);
    CHECK_FALSE(office.engine.snapshot().pools[1]->maintenance);
    CHECK(office.overlay.entries("web")[0].stamp.until_ms);
    CHECK(office.done("maintenance web off")["maintenance"] == false);
    CHECK_FALSE(office.engine.snapshot().pools[0]->maintenance);
    CHECK(office.error("maintenance web maybe") == "maintenance is \"on\" or \"off\", not \"maybe\"");
}

TEST_CASE("names that are not there are told with the nearest") {
    Office office;
    CHECK(office.error("drain wbe/front1") == "there is no pool \"wbe\"; did you mean \"web\"?");
    CHECK(office.error("drain web/frnt1") ==
          "there is no server \"frnt1\" in pool web; did you mean \"front1\"?");
    CHECK(office.error("disable web/nothing-like-it") ==
          "there is no server \"nothing-like-it\" in pool web");
    CHECK(office.error("drain web/front1@127.0.0.1:8081") ==
          "there is no server \"front1@127.0.0.1:8081\" in pool web; what is decided about \"front1\" holds "
          "for "
          "all of its addresses");
    CHECK(office.error("drain web") == "\"web\" does not name a server, as web/front1 does");
    CHECK(office.error("drain web/front1/x").starts_with("\"web/front1/x\" does not name a server"));
    CHECK(office.error("drain /").starts_with("there is no pool \"\""));
    CHECK(office.error("weight web/frnt1 5").starts_with("there is no server \"frnt1\""));
    CHECK(office.error("enable web/frnt1").starts_with("there is no server \"frnt1\""));
    CHECK(office.error("only web/frnt1").starts_with("there is no server \"frnt1\""));
    CHECK(office.error("only wbe off").starts_with("there is no pool \"wbe\""));
    CHECK(office.error("maintenance wbe on").starts_with("there is no pool \"wbe\""));
    CHECK(office.error("maintenance wbe off").starts_with("there is no pool \"wbe\""));
    CHECK(office.error("pools wbe") == "there is no pool \"wbe\"; did you mean \"web\"?");
    CHECK(office.overlay.decisions().empty());
    CHECK(office.engine.publications == 0);
}

TEST_CASE("durations are those of the configuration, and texts have a length") {
    Office office;
    CHECK(office.error("drain web/front1 wait=30") ==
          "wait must be a duration such as \"250ms\", \"2s\", \"5m\" or \"1h\", not \"30\": the unit is "
          "missing");
    CHECK(office.error("drain web/front1 wait=").starts_with("wait must be a duration"));
    CHECK(office.error("drain web/front1 wait=-1s").starts_with("wait must be a duration"));
    CHECK(office.error("drain web/front1 wait=8d") == "wait may be at most \"7d\", not \"8d\"");
    CHECK(office.error("drain web/front1 ttl=0s") == "ttl must be longer than \"0s\"");
    CHECK(office.error("drain web/front1 ttl=366d") == "ttl may be at most \"365d\", not \"366d\"");
    CHECK(
        office.error("weight web/front1 5 ttl=99999999999999999999d").starts_with("ttl must be a duration"));
    CHECK(office.error("disable web/front1 reason=" + std::string(1001, 'x')) ==
          "reason may have 1000 bytes, not 1001");
    CHECK(office.error("enable web/front1 by=" + std::string(1001, 'x')) ==
          "by may have 1000 bytes, not 1001");
    CHECK(office.overlay.decisions().empty());
    CHECK(office.done("drain web/front1 ttl=365d reason=" + std::string(1000, 'x'))["admin"] == "drained");
}

TEST_CASE("a change that leaves a pool without a usable server is done, with a warning") {
    Office office;
    for (const char* line : {"drain web/front1", "disable web/front2"})
        CHECK_FALSE(office.done(line).contains("warning"));
    CHECK(office.done("drain web/spare")["warning"] == "pool web has no usable server now");
    (void)office.done("enable web/front1");
    CHECK(office.done("weight web/front1 0")["warning"] == "pool web has no usable server now");
    (void)office.done("weight web/front1 1");
    CHECK_FALSE(office.done("only web/front1").contains("warning"));
    CHECK(office.done("drain web/front1")["warning"] == "pool web has no usable server now");
}

TEST_CASE("what could not be saved is in force, with a warning") {
    Office office(kSite, "/nowhere/state.json");
    const std::string warning = office.done("drain web/front1")["warning"];
    CHECK(warning.starts_with("not saved: /nowhere/state.json"));
    CHECK(office.server(0, 0).admin == Admin::drained);
    CHECK(office.done("maintenance web on").contains("warning"));
    (void)office.done("drain web/front2");
    const std::string both = office.done("drain web/spare")["warning"];
    CHECK(both.starts_with("not saved: "));
    CHECK(both.ends_with("; pool web has no usable server now"));
}

TEST_CASE("what is kept aside can be forgotten") {
    Office office;
    (void)office.overlay.set_admin("web", "gone", Admin::drained, Stamp{});
    (void)office.overlay.set_weight("web", "gone", 5, Stamp{});
    (void)office.overlay.set_maintenance("gone", true, Stamp{});
    (void)office.overlay.set_only("gone", "x", Stamp{});
    const json aside = office.done("pools")["aside"];
    REQUIRE(aside.size() == 2);
    CHECK(aside[0]["pool"] == "gone");
    CHECK(aside[0]["server"] == "");
    CHECK(aside[1]["server"] == "gone");
    CHECK(aside[1]["decisions"].size() == 2);
    CHECK(office.error("drain web/gone") == "there is no server \"gone\" in pool web");
    CHECK(office.done("enable web/gone")["warning"] ==
          "it is not configured; what was kept aside for it is forgotten");
    CHECK(office.error("weight web/gone 6") == "there is no server \"gone\" in pool web");
    (void)office.done("weight web/gone default");
    (void)office.done("maintenance gone off");
    (void)office.done("only gone off");
    CHECK(office.overlay.decisions().empty());
    CHECK_FALSE(office.done("pools").contains("aside"));
}

TEST_CASE("an entry whose time is up is told, and its server warms up") {
    Office office;
    std::vector<json> told;
    const auto id = office.events.follow([&told](const json& event) { told.push_back(event); });
    (void)office.done("drain web/front1 ttl=30ms");
    (void)office.done("maintenance web on ttl=30ms");
    CHECK(office.server(0, 0).admin == Admin::drained);
    REQUIRE(test::run_until(office.loop, [&] { return told.size() == 2; }));
    CHECK(office.server(0, 0).admin == Admin::enabled);
    CHECK_FALSE(office.engine.snapshot().pools[0]->maintenance);
    CHECK(office.server(0, 0).state->slow_start_from_ms != 0);
    for (const json& event : told) {
        CHECK(event["event"] == "ended");
        if (event["what"] == "drained") CHECK(event["server"] == "web/front1");
        if (event["what"] == "maintenance") CHECK(event["pool"] == "web");
    }
    office.events.unfollow(id);
}

TEST_CASE("pools tells of every server, resolved or not") {
    Office office;
    pool::WorkerCounters& counters = office.server(0, 1).state->counters[0];
    counters.in_flight = 2;
    counters.tunnels = 1;
    counters.connections = 4;
    counters.exchanges = 9;
    counters.failures = 1;
    (void)office.done("weight web/front2 5 by=anna ttl=1h");
    RolloutRecord killed;  // with the palier before this one
    killed.order = {"till", "till2"};
    killed.at["till"] = {.step = "hook", .drained = true};
    (void)office.overlay.set_rollout("shop", killed.to_json());
    const json pools = office.done("pools")["pools"];
    REQUIRE(pools.size() == 2);
    CHECK(pools[0]["name"] == "web");
    CHECK(pools[0]["maintenance"] == false);
    CHECK_FALSE(pools[0].contains("rollout"));
    const json& front2 = pools[0]["servers"][1];
    CHECK(front2["name"] == "front2");
    CHECK(front2["address"] == "127.0.0.1:8082");
    CHECK(front2["role"] == "active");
    CHECK(front2["health"] == "unprobed");
    CHECK(front2["reason"] == "as it likes");
    CHECK(front2["admin"] == "enabled");
    CHECK(front2["weight"] == 5);
    CHECK(front2["configured_weight"] == 50);
    CHECK(front2["in_flight"] == 2);
    CHECK(front2["tunnels"] == 1);
    CHECK(front2["connections"] == 4);
    CHECK(front2["failures"] == 1);
    REQUIRE(front2["decisions"].size() == 1);
    const json& decision = front2["decisions"][0];
    CHECK(decision["what"] == "weight 5");
    CHECK(decision["uid"] == 1000);
    CHECK(decision["by"] == "anna");
    CHECK(decision["until"].is_string());
    const json& rollout = pools[1]["rollout"];
    CHECK(rollout["state"] == "interrupted");
    CHECK(rollout["at"] == json{{{"server", "till"}, {"step", "hook"}, {"drained", true}}});
    CHECK(rollout["untouched"] == json{"till2"});
    CHECK(rollout["started"] == "1970-01-01T00:00:00.000Z");
    const json& till = pools[1]["servers"][0];
    CHECK(till["address"] == "");
    CHECK(till["reason"] == "its name has no address yet");
    CHECK(till["admin"] == "enabled");
    CHECK(office.done("pools shop")["pools"].size() == 1);

    office.engine.addresses["till.example"] = {*base::IpAddress::parse("10.0.0.1"),
                                               *base::IpAddress::parse("10.0.0.2")};
    office.engine.build();
    const json shop = office.done("pools shop")["pools"][0]["servers"];
    REQUIRE(shop.size() == 3);
    CHECK(shop[0]["address"] == "10.0.0.1:80");
    CHECK(shop[1]["address"] == "10.0.0.2:80");
    CHECK(shop[1]["name"] == "till");
    (void)office.done("drain shop/till");
    CHECK(office.engine.closed.size() == 2);
}

TEST_CASE("tiers are those by which servers are picked") {
    Office office;
    const auto tiers = [&] {
        std::vector<int> found;
        const json web = office.done("pools web")["pools"][0];
        for (const json& server : web["servers"])
            found.push_back(server["tier"]);
        return found;
    };
    CHECK(tiers() == std::vector<int>{2, 2, 4});  // none of them is local
    const auto& pool = *office.engine.snapshot().pools[0];
    pool.state->held_by_passive = pool.era;
    CHECK(tiers() == std::vector<int>{4, 4, 2});
}

TEST_CASE("status tells what the engine knows, and whether palier is ready") {
    Office office;
    json status = office.done("status");
    CHECK(status["version"] == PALIER_VERSION);
    CHECK(status["pid"] == ::getpid());
    CHECK(status["uptime_ms"] >= 4000);
    CHECK(status["workers"] == 2);
    CHECK(status["connections"] == 7);
    CHECK(status["exchanges"] == 3);
    CHECK(status["tunnels"] == 1);
    CHECK(status["memory"] == json{{"used", 50},
                                   {"limit", 100},
                                   {"pressure", "none"},
                                   {"shortages", 0},
                                   {"closed_idle", 0},
                                   {"refused", 0}});
    CHECK(status["ready"] == false);
    CHECK(status["obstacles"] == json{"starting"});
    CHECK(status["config"] == "/etc/palier/palier.toml");
    CHECK(status["state_file"] == "");
    office.readiness.serves();
    status = office.done("status");
    CHECK(status["ready"] == true);
    CHECK(status["obstacles"] == json::array());
}

TEST_CASE("palier itself: drain, enable and stop") {
    Office office;
    CHECK(office.done("drain self") ==
          json{{"self", "drained"}, {"listeners_close_in_ms", 30'000}, {"ok", true}});
    CHECK(office.engine.drained);
    CHECK(office.done("enable self") == json{{"self", "enabled"}, {"ok", true}});
    CHECK_FALSE(office.engine.drained);
    (void)office.done("drain self wait=5s");
    CHECK(office.engine.grace == config::Duration(5000));
    office.engine.self_error = "no";
    CHECK(office.error("enable self") == "no");
    CHECK(office.error("drain self") == "no");
    CHECK(office.error("drain self ttl=5s") == "drain self has the options wait and reason only");
    CHECK(office.error("drain self wait=5") != "");
    CHECK(office.done("stop")["stopping"] == true);
    CHECK(office.engine.stopped);
}

TEST_CASE("certificates are listed, and looked at again") {
    Office office;
    CHECK(office.done("certificates")["certificates"] == json::array());
    CHECK(office.done("certificates reload")["certificates"] == json::array());
    CHECK(office.done("certificates")["problems"] == json::array());
    CHECK(office.error("certificates relaod") == "certificates knows \"reload\", not \"relaod\"");
}

TEST_CASE("a wait is given up with the commands") {
    const auto reply = [] {
        Office office;
        office.server(0, 0).state->counters[0].in_flight = 1;
        auto waiting = office.start("drain web/front1 wait=1h");
        CHECK(waiting.use_count() > 1);
        return waiting;
    }();
    CHECK(reply.use_count() == 1);
}

}  // namespace
}  // namespace palier::control
