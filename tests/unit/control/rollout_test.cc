#include "palier/control/rollout.h"

#include "catch.h"
#include "control/rollout_record.h"
#include "health/probe_fixture.h"
#include "rollout_fixture.h"

#include <cerrno>
#include <csignal>

#include <sys/wait.h>

using namespace palier;
using namespace palier::test;
using nlohmann::json;
using pool::Admin;

namespace {

using Names = std::vector<std::string>;

control::Stamp by_anna() {
    return {.uid = 0, .pid = 1, .by = "anna", .reason = "", .at_ms = 1, .until_ms = std::nullopt};
}

bool has_children() {
    return ::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD;
}

config::Config probed_fronts() {
    config::Config config = three_fronts();
    config::HealthConfig& health = config.pools[0].health.emplace();
    health.interval = health.down_interval = health.timeout = config::Duration(1);
    return config;
}

}  // namespace

TEST_CASE_METHOD(RolloutFixture, "servers are updated one after another, each while it is drained") {
    std::set<std::string> followed;
    const auto id = events.follow([&](const json& event) { followed.insert(event["event"]); });
    REQUIRE(overlay.set_weight("web", "front2", 5, by_anna()).empty());
    const auto told = roll_out("echo here is $PALIER_SERVER", {{"by", "anna"}});
    Names drained;
    REQUIRE(until([&] {
        for (const std::string name : {"front1", "front2", "front3"}) {
            if (engine.admin(name) == Admin::enabled) continue;
            CHECK(engine.admin(name) == Admin::drained);
            if (drained.empty() || drained.back() != name) drained.push_back(name);
            CHECK(overlay.entries("web", name).front().stamp.reason == "roll-out");
            CHECK(overlay.entries("web", name).front().stamp.by == "anna");
        }
        return told->end.has_value();
    }));
    CHECK(told->well);
    CHECK(drained == Names{"front1", "front2", "front3"});
    CHECK(told->output() ==
          Names{"front1: here is front1", "front2: here is front2", "front3: here is front3"});
    CHECK(told->steps("front2") == Names{"drain", "hook", "enable", "done"});
    CHECK((*told->end)["updated"] == json(drained));
    CHECK((*told->end)["seconds"].is_number());
    CHECK(engine.closed ==
          std::vector<std::pair<std::string, bool>>{{"front1", false}, {"front2", false}, {"front3", false}});
    CHECK(engine.server("front2").weight == 5);
    CHECK(state() == "none");
    CHECK(rollouts->under_way().empty());
    CHECK(followed == std::set<std::string>{"rollout", "output"});
    CHECK_FALSE(has_children());
    events.unfollow(id);
}

TEST_CASE_METHOD(RolloutFixture, "only some servers, in another order") {
    const auto told = roll_out("echo x", {{"servers", "front3,front1"}});
    REQUIRE(ended(told));
    CHECK(told->output() == Names{"front3: x", "front1: x"});
}

TEST_CASE_METHOD(RolloutFixture, "what is in flight is waited for") {
    engine.set_in_flight("front1", 3);
    SECTION("until it has ended") {
        const auto told = roll_out("true", {{"servers", "front1"}, {"tunnels", "close"}});
        REQUIRE(at(told, "front1", "drain"));
        CHECK(told->detail("front1", "drain") == "3 in flight");
        loop.run_once(100);
        loop.run_once(100);
        CHECK(told->steps("front1") == Names{"drain"});
        CHECK(rollouts->under_way() == "a roll-out of web is under way (front1, step drain)");
        engine.set_in_flight("front1", 0);
        REQUIRE(ended(told));
        CHECK(told->well);
        CHECK(engine.closed.front().second);
    }
    SECTION("but not for ever, and nothing has changed then") {
        engine.counters("front1").tunnels = 1;
        const auto told = roll_out("echo no", {{"wait", "100ms"}});
        REQUIRE(ended(told));
        CHECK(
            told->error ==
            "the roll-out of web stopped at front1, step drain: 3 in flight, 1 of them a tunnel after 100ms");
        CHECK((*told->end)["next"] == "nothing was changed on any server");
        CHECK(told->output().empty());
        CHECK(engine.admin("front1") == Admin::enabled);
        CHECK(state() == "none");
    }
}

TEST_CASE_METHOD(RolloutFixture, "a failing hook stops it where it stands, and resume goes on there") {
    const std::string mended = folder.path("mended");
    const auto told =
        roll_out("test $PALIER_SERVER != front2 || test -e " + mended + " || { echo no room; exit 3; }",
                 {{"undo", "echo undoing {server}"}});
    REQUIRE(ended(told));
    CHECK(told->error ==
          "the roll-out of web stopped at front2, step hook: exit status 3; it said last: no room");
    CHECK(told->steps("front2") == Names{"drain", "hook", "undo", "failed"});
    CHECK(told->output() == Names{"front2: no room", "front2: undoing front2"});
    const json& end = *told->end;
    CHECK(end["updated"] == json({"front1"}));
    CHECK(end["untouched"] == json({"front3"}));
    CHECK(end["drained"] == json({"front2"}));
    CHECK(end["failed"][0]["undo"] == "done");
    CHECK(
        end["next"] ==
        "front2 is left drained: `rollout web resume` begins again with it, `rollout web abort` forgets the "
        "roll-out, then `enable web/front2` puts it back as it is");
    CHECK(engine.admin("front1") == Admin::enabled);
    CHECK(engine.admin("front2") == Admin::drained);
    CHECK(engine.admin("front3") == Admin::enabled);
    CHECK(state() == "stopped");

    const auto refused = roll_out("true");
    REQUIRE(ended(refused));
    CHECK(refused->error.starts_with("an earlier roll-out of web has not ended; `rollout web resume`"));

    std::ofstream(mended).put('x');
    begin_anew();
    rollouts->report();
    const auto resumed = ask({"web", "resume"});
    REQUIRE(ended(resumed));
    CHECK(resumed->well);
    CHECK((*resumed->end)["updated"] == json({"front1", "front2", "front3"}));
    CHECK(resumed->steps("front1").empty());
    CHECK(resumed->steps("front2") == Names{"drain", "hook", "enable", "done"});
    CHECK(engine.admin("front2") == Admin::enabled);
    CHECK(state() == "none");
}

TEST_CASE_METHOD(RolloutFixture,
                 "a stopped roll-out can be forgotten, which leaves the servers as they are") {
    const auto told = roll_out("exit 1", {{"undo", "exit 2"}});
    REQUIRE(ended(told));
    CHECK((*told->end)["failed"][0]["undo"] == "exit status 2");
    const auto aborted = ask({"web", "abort"});
    REQUIRE(ended(aborted));
    CHECK(aborted->well);
    CHECK((*aborted->end)["drained"] == json({"front1"}));
    CHECK(state() == "none");
    CHECK(engine.admin("front1") == Admin::drained);
    const auto skipping = roll_out("true");
    REQUIRE(ended(skipping));
    CHECK((*skipping->end)["updated"] == json({"front2", "front3"}));
    CHECK((*skipping->end)["skipped"][0]["server"] == "front1");
    CHECK((*skipping->end)["skipped"][0]["why"] == "drained by an operator");
}

TEST_CASE_METHOD(RolloutFixture, "a hook that cannot be run changes nothing") {
    const auto told =
        ask({"web"}, {{"run", "/nonexistent/deploy.sh"}, {"undo", "touch " + folder.path("undone")}});
    REQUIRE(ended(told));
    CHECK(told->error ==
          "the roll-out of web stopped at front1, step hook: cannot run /nonexistent/deploy.sh: No such file "
          "or "
          "directory");
    CHECK(engine.admin("front1") == Admin::enabled);
    CHECK(state() == "none");
    CHECK_FALSE(std::filesystem::exists(folder.path("undone")));
}

TEST_CASE_METHOD(RolloutFixture, "enough others must be usable") {
    engine.server("front2").state->held_down = true;
    engine.server("front3").state->held_down = true;
    SECTION("or it does not even begin") {
        const auto told = roll_out("true", {{"wait", "60ms"}});
        REQUIRE(ended(told));
        CHECK(told->error ==
              "the roll-out of web stopped at front1, step available: 0 usable beside it, and min_available "
              "is 1");
        CHECK(told->steps("front1") == Names{"available", "failed"});
        CHECK(engine.closed.empty());
    }
    SECTION("it waits for them") {
        const auto told = roll_out("true", {{"servers", "front1"}});
        REQUIRE(at(told, "front1", "available"));
        CHECK(engine.admin("front1") == Admin::enabled);
        engine.server("front3").state->held_down = false;
        REQUIRE(ended(told));
        CHECK(told->well);
    }
    SECTION("unless none is asked for") {
        const auto told = roll_out("true", {{"min_available", "0"}});
        REQUIRE(ended(told));
        CHECK(told->well);
    }
}

TEST_CASE_METHOD(RolloutFixture, "several at a time") {
    const std::string both = folder.path("both");
    // Each waits for the other: one after another, neither would be done.
    const auto told = roll_out("mkdir -p " + both + "; touch " + both +
                                   "/{server}; test {server} = front3 || while test ! -e " + both +
                                   "/front1 -o ! -e " + both + "/front2; do sleep 0.01; done",
                               {{"batch", "2"}, {"timeout", "9s"}});
    REQUIRE(ended(told));
    CHECK(told->well);
    CHECK((*told->end)["updated"].size() == 3);

    const auto failing = roll_out("test {server} != front1", {{"batch", "2"}});
    REQUIRE(ended(failing));
    CHECK((*failing->end)["updated"] == json({"front2"}));
    CHECK((*failing->end)["untouched"] == json({"front3"}));
    CHECK(engine.admin("front2") == Admin::enabled);
}

TEST_CASE_METHOD(RolloutFixture, "an operator's word is heard meanwhile") {
    SECTION("drained and disabled servers are skipped") {
        REQUIRE(overlay.set_admin("web", "front1", Admin::disabled, by_anna()).empty());
        REQUIRE(overlay.set_admin("web", "front3", Admin::drained, by_anna()).empty());
        engine.republish([] {});
        const auto told = roll_out("true", {{"min_available", "0"}});
        REQUIRE(ended(told));
        CHECK((*told->end)["updated"] == json({"front2"}));
        CHECK(told->detail("front1", "skipped") == "disabled");
        CHECK(engine.admin("front1") == Admin::disabled);
        CHECK(engine.admin("front3") == Admin::drained);
    }
    SECTION("one that is disabled while its hook runs stays so") {
        const std::string go = folder.path("go");
        const auto told = roll_out("while test ! -e " + go + "; do sleep 0.01; done");
        REQUIRE(at(told, "front1", "hook"));
        REQUIRE(overlay.set_admin("web", "front1", Admin::disabled, by_anna()).empty());
        std::ofstream(go).put('x');
        REQUIRE(ended(told));
        CHECK(told->error.ends_with("front1, step enable: an operator has disabled it meanwhile"));
        engine.republish([] {});
        CHECK(engine.admin("front1") == Admin::disabled);
    }
    SECTION("one that left the configuration is not waited for") {
        engine.set_in_flight("front1", 1);
        const auto told = roll_out("true");
        REQUIRE(at(told, "front1", "drain"));
        config::Config less = three_fronts();
        less.pools[0].servers.erase(less.pools[0].servers.begin());
        engine.configure(less);
        REQUIRE(ended(told));
        CHECK(told->error.ends_with("it is no longer configured, or its name has no address"));
    }
}

TEST_CASE_METHOD(RolloutFixture, "a server is warmed up before it is back") {
    int asked = 0;
    std::string heard;
    ScriptedServer front(loop, [&](Peer& peer) {
        heard = peer.heard;
        CHECK(engine.admin("front1") == Admin::drained);
        peer.say(++asked == 1 ? "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" : kOk);
    });
    config::Config config = three_fronts();
    config.pools[0].servers[0].port = front.address.port();
    engine.configure(config);
    SECTION("until each path was answered well") {
        const auto told = roll_out(
            "true", {{"servers", "front1"}, {"warm", "/,/a?b=c"}, {"warm_host", "shop.example.com"}});
        REQUIRE(ended(told));
        CHECK(told->well);
        CHECK(asked == 3);
        CHECK(heard.starts_with("GET /a?b=c HTTP/1.1\r\nHost: shop.example.com\r\n"));
        CHECK(told->steps("front1") == Names{"drain", "hook", "warm", "enable", "done"});
    }
    SECTION("or else it fails") {
        const auto told =
            roll_out("true", {{"servers", "front1"}, {"warm", "/x"}, {"warm_timeout", "100ms"}});
        REQUIRE(ended(told));
        CHECK(told->error.ends_with(
            "front1, step warm: /x was not answered well within 100ms: HTTP 503, expected 200-399"));
        CHECK(heard.find(fmt::format("Host: 127.0.0.1:{}\r\n", front.address.port())) != std::string::npos);
        CHECK(engine.admin("front1") == Admin::drained);
    }
}

TEST_CASE("probes have the word after the hook") {
    RolloutFixture fixture(probed_fronts());
    for (const std::string name : {"front1", "front2", "front3"})
        fixture.engine.server(name).state->health = pool::Health::up;
    SECTION("found healthy again") {
        const auto told = fixture.roll_out("true");
        REQUIRE(fixture.ended(told));
        CHECK(told->well);
        CHECK(fixture.engine.doubted == Names{"front1", "front2", "front3"});
        CHECK(told->steps("front3") == Names{"drain", "hook", "probe", "enable", "done"});
    }
    SECTION("or not") {
        fixture.engine.heals = false;
        const auto told = fixture.roll_out("true", {{"wait", "100ms"}});
        REQUIRE(fixture.ended(told));
        CHECK(told->error.find("front1, step probe: probes do not find it healthy after") !=
              std::string::npos);
        CHECK(told->error.ends_with("HTTP 503, expected 200-399"));
        CHECK(fixture.engine.admin("front1") == Admin::drained);
    }
}

TEST_CASE_METHOD(RolloutFixture, "a soak compares the server with the others") {
    const auto told = roll_out("true", {{"soak", "60s"}, {"undo", "echo undoing"}, {"servers", "front2"}});
    REQUIRE(at(told, "front2", "soak"));
    CHECK(engine.admin("front2") == Admin::enabled);
    const auto answer = [&](const std::string& name, std::uint64_t count, std::uint64_t failures) {
        engine.counters(name).exchanges += count;
        engine.counters(name).answers += count;
        engine.counters(name).failures += failures;
    };
    SECTION("too many failures take it out again") {
        answer("front1", 100, 0);
        answer("front2", 30, 15);
        engine.set_in_flight("front2", 1);
        REQUIRE(at(told, "front2", "back-out"));
        CHECK(engine.admin("front2") == Admin::drained);
        CHECK_FALSE(told->end);
        engine.set_in_flight("front2", 0);
        REQUIRE(ended(told));
        CHECK(told->steps("front2") ==
              Names{"drain", "hook", "enable", "soak", "back-out", "undo", "failed"});
        CHECK(told->error.ends_with(
            "front2, step soak: 50 % of its 30 exchanges failed, against 0 % of the others' 100"));
        CHECK(told->output() == Names{"front2: undoing"});
    }
    SECTION("an ejection does at once") {
        engine.server("front2").state->ejected_until_ms = loop.now_ms() + 100'000;
        REQUIRE(ended(told));
        CHECK(told->error.ends_with("front2, step soak: live traffic ejected it"));
    }
    SECTION("probes do too") {
        engine.server("front2").state->held_down = true;
        REQUIRE(ended(told));
        CHECK(told->error.ends_with("step soak: probes took it down: HTTP 503, expected 200-399"));
    }
    SECTION("an abort leaves it at work") {
        answer("front1", 100, 10);
        answer("front2", 100, 10);
        const auto aborted = ask({"web", "abort"});
        REQUIRE(ended(aborted));
        CHECK(aborted->well);
        CHECK((*aborted->end)["at"][0]["step"] == "soak");
        CHECK((*aborted->end)["drained"].empty());
        CHECK(engine.admin("front2") == Admin::enabled);
        CHECK(told->error == "the roll-out of web was aborted; no server is left drained");
    }
}

TEST_CASE_METHOD(RolloutFixture, "a soak and a slow start end well by themselves") {
    config::Config config = three_fronts();
    config.pools[0].servers[0].slow_start = config::Duration(100);
    engine.configure(config);
    // What was found before the update counts no longer.
    engine.server("front1").state->ejected_until_ms = loop.now_ms() + 100'000;
    const auto told = roll_out("true", {{"soak", "100ms"}, {"servers", "front1"}});
    const std::uint64_t begun = base::monotonic_ms();
    REQUIRE(ended(told));
    CHECK(told->well);
    CHECK(base::monotonic_ms() - begun >= 200);
    CHECK(told->steps("front1") == Names{"drain", "hook", "enable", "slow-start", "soak", "done"});
}

TEST_CASE_METHOD(RolloutFixture, "an abort ends the hook and leaves its server drained") {
    const auto told =
        roll_out("trap '' TERM; echo ready; while :; do sleep 1000; done", {{"undo", "echo undoing"}});
    REQUIRE(until([&] { return !told->output().empty(); }));
    const auto aborted = ask({"web", "abort"});
    const auto again = ask({"web", "abort"});
    REQUIRE(ended(aborted));
    REQUIRE(ended(again));
    CHECK(aborted->well);
    CHECK((*aborted->end)["drained"] == json({"front1"}));
    CHECK((*aborted->end)["untouched"] == json({"front2", "front3"}));
    CHECK(told->error == "the roll-out of web was aborted; left drained: front1");
    CHECK(told->output() == Names{"front1: ready"});
    CHECK(engine.admin("front1") == Admin::drained);
    CHECK(state() == "none");
    CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(RolloutFixture, "an abort before the hook puts the server back") {
    engine.set_in_flight("front1", 1);
    const auto told = roll_out("true");
    REQUIRE(at(told, "front1", "drain"));
    const auto aborted = ask({"web", "abort"});
    REQUIRE(ended(aborted));
    CHECK((*aborted->end)["untouched"].size() == 3);
    CHECK(engine.admin("front1") == Admin::enabled);
}

TEST_CASE_METHOD(RolloutFixture, "a palier that was killed knows of the roll-out, and resumes it") {
    const std::string first = folder.path("first");
    const auto told =
        roll_out("test {server} != front2 -o -e " + first + " || { touch " + first + "; sleep 1000; }");
    REQUIRE(until([&] { return std::filesystem::exists(first); }));
    CHECK(state() == "running");
    begin_anew();
    CHECK_FALSE(has_children());
    CHECK(state() == "interrupted");
    CHECK(rollouts->under_way().empty());
    const json status = rollouts->status("web");
    CHECK(status["at"][0]["server"] == "front2");
    CHECK(status["at"][0]["step"] == "hook");
    CHECK(status["updated"] == json({"front1"}));

    const auto refused = ask({"web", "resume"}, {{"batch", "2"}});
    CHECK(refused->error == "resume takes no batch=: what was asked for when the roll-out began holds");
    const auto resumed = ask({"web", "resume"}, {{"by", "otto"}});
    REQUIRE(at(resumed, "front2", "drain"));
    CHECK(overlay.entries("web", "front2").front().stamp.by == "otto");
    REQUIRE(ended(resumed));
    CHECK(resumed->well);
    CHECK((*resumed->end)["updated"] == json({"front1", "front2", "front3"}));
    CHECK(engine.admin("front2") == Admin::enabled);
}

TEST_CASE_METHOD(RolloutFixture, "that a hook begins is in the file before it does") {
    const auto told = roll_out("cp " + overlay.file() + " " + folder.path("seen"), {{"servers", "front1"}});
    REQUIRE(ended(told));
    std::ifstream seen(folder.path("seen"));
    const json at = json::parse(seen)["pools"]["web"]["rollout"]["at"]["front1"];
    CHECK(at["step"] == "hook");
    CHECK(at["drained"] == true);
}

TEST_CASE_METHOD(RolloutFixture, "a hook that outlived its palier is not joined by another") {
    control::RolloutRecord record;
    record.options = {{"run", "true"}, {"soak", "0s"}};
    record.order = {"front1"};
    record.at["front1"] = {.step = "hook", .drained = true, .hook = ::getpid()};
    record.at["front1"].hook_born = control::birth_of_process(::getpid());
    REQUIRE(overlay.set_rollout("web", record.to_json()).empty());
    const auto refused = ask({"web", "resume"});
    CHECK(refused->error ==
          fmt::format("the hook of front1 that was interrupted still runs: process {}", ::getpid()));
    record.at["front1"].hook_born = "1";
    REQUIRE(overlay.set_rollout("web", record.to_json()).empty());
    const auto resumed = ask({"web", "resume"});
    REQUIRE(ended(resumed));
    CHECK(resumed->well);
}

TEST_CASE_METHOD(RolloutFixture, "a resumed server that cannot go on is not put back to work") {
    control::RolloutRecord record;
    record.options = {{"run", "true"}, {"wait", "60ms"}, {"undo", "touch " + folder.path("undone")}};
    record.order = {"front1"};
    record.at["front1"] = {.step = "hook", .drained = true};
    REQUIRE(overlay.set_rollout("web", record.to_json()).empty());
    REQUIRE(overlay.set_admin("web", "front1", Admin::drained, by_anna()).empty());
    engine.republish([] {});
    engine.set_in_flight("front1", 1);
    const auto resumed = ask({"web", "resume"});
    REQUIRE(ended(resumed));
    CHECK(resumed->error.find("front1, step drain: 1 in flight") != std::string::npos);
    CHECK((*resumed->end)["drained"] == json({"front1"}));
    CHECK(engine.admin("front1") == Admin::drained);
    CHECK(state() == "stopped");
    CHECK_FALSE(std::filesystem::exists(folder.path("undone")));
}

TEST_CASE_METHOD(RolloutFixture, "a record that cannot be read stands in the way until it is forgotten") {
    REQUIRE(overlay.set_rollout("web", {{"order", 3}}).empty());
    rollouts->report();
    CHECK(state() == "unreadable");
    CHECK(ask({"web", "resume"})->error.ends_with("; `rollout web abort` forgets it"));
    CHECK(roll_out("true")->error.starts_with("an earlier roll-out"));
    CHECK(ask({"web", "abort"})->well);
    CHECK(state() == "none");
}

TEST_CASE_METHOD(RolloutFixture, "it goes on without the client that began it") {
    const auto told = roll_out("true");
    REQUIRE(told->gone);
    told->gone();
    REQUIRE(until([&] { return state() == "none"; }));
    CHECK_FALSE(told->end);
    CHECK(engine.closed.size() == 3);
}

TEST_CASE_METHOD(RolloutFixture, "palier's stop ends the hook and leaves an interrupted roll-out") {
    const auto told = roll_out("echo ready; exec sleep 1000");
    REQUIRE(until([&] { return !told->output().empty(); }));
    rollouts->stop();
    CHECK(roll_out("true")->error == "palier is about to stop");
    CHECK(ask({"web", "abort"})->error == "palier is about to stop");
    REQUIRE(until([&] { return !has_children(); }));
    CHECK_FALSE(told->end);
    begin_anew();
    CHECK(state() == "interrupted");
    CHECK(engine.admin("front1") == Admin::drained);
}

TEST_CASE_METHOD(RolloutFixture, "a pool that leaves the configuration ends its roll-out") {
    SECTION("while its server comes back to work") {
        engine.meanwhile = [&] {
            if (overlay.decisions().find("web") == overlay.decisions().end())
                engine.configure(another_pool());
        };
        const auto told = roll_out("true", {{"soak", "5s"}});
        REQUIRE(ended(told));
        CHECK_THAT(told->error, Catch::Contains("it is no longer configured"));
    }
    SECTION("while a hook runs, which an abort ends") {
        const auto told = roll_out("echo ready; exec sleep 1000");
        REQUIRE(until([&] { return !told->output().empty(); }));
        engine.configure(another_pool());
        CHECK((*ask({"web", "status"})->end)["state"] == "running");
        const auto aborted = ask({"web", "abort"});
        REQUIRE(ended(aborted));
        CHECK(aborted->well);
        CHECK_FALSE(has_children());
    }
    SECTION("after it was interrupted: an abort forgets it, a resume has nothing to go on with") {
        const auto told = roll_out("echo ready; exec sleep 1000");
        REQUIRE(until([&] { return !told->output().empty(); }));
        begin_anew();
        engine.configure(another_pool());
        CHECK(ask({"web", "resume"})->error ==
              "pool web has left the configuration; `rollout web abort` forgets its roll-out");
        CHECK(ask({"web", "abort"})->well);
        CHECK(ask({"web", "abort"})->error == "there is no pool \"web\"");
    }
}

TEST_CASE_METHOD(RolloutFixture, "what cannot be is refused in words") {
    CHECK(ask({"wob"}, {{"run", "x"}})->error == "there is no pool \"wob\"; did you mean \"web\"?");
    CHECK(ask({"web"})->error.starts_with("say what is to be run for each server: rollout web run="));
    CHECK(ask({"web", "resum"})->error ==
          "rollout POOL knows status, resume and abort, not \"resum\"; did you mean \"resume\"?");
    CHECK(ask({"web", "resume"})->error == "there is no roll-out of web to go on with");
    CHECK(ask({"web", "abort"})->error == "there is no roll-out of web to abort");
    CHECK((*ask({"web", "status"})->end)["state"] == "none");
    CHECK(roll_out("x", {{"servers", "front9"}})
              ->error.starts_with("servers= pool web has no server \"front9\""));
    CHECK(roll_out("x", {{"min_available", "3"}})->error ==
          "min_available=3 cannot be: web has 3 server(s), of which 1 would be out at a time");
    CHECK(roll_out("x", {{"batch", "none"}})->error.starts_with("batch= must be a number"));
    const auto first = roll_out("sleep 1000");
    CHECK(roll_out("x")->error.starts_with("a roll-out of web is under way (front1, step "));
    CHECK(ask({"web", "resume"})->error.starts_with("a roll-out of web is under way"));
    CHECK((*ask({"web", "status"})->end)["state"] == "running");
}
