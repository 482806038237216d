#include "palier/control/reload.h"

#include "captured_descriptor.h"
#include "catch.h"
#include "net/loop_fixture.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace palier::control {
namespace {

using nlohmann::json;

class RecordedReply final : public Reply {
  public:
    explicit RecordedReply(json& end) : end_(end) {}
    void event(json /*event*/) override {}
    void done(json result) override {
        end_ = std::move(result);
        end_["ok"] = true;
    }
    void fail(std::string_view error, json more) override {
        end_ = std::move(more);
        end_["ok"] = false;
        end_["error"] = error;
    }
    [[nodiscard]] bool open() const override { return true; }
    void on_gone(std::function<void()> /*gone*/) override {}
    void attach(int /*descriptor*/) override {}

  private:
    json& end_;
};

/// Loads what it is told to, and notes what becomes of it.
struct Subject final : Reload::Subject {
    [[nodiscard]] base::Result<Reload::Loader> loader() const override {
        if (!no_file.empty()) return base::failure(no_file);
        return [mistakes = mistakes]() -> std::expected<Candidate, std::vector<std::string>> {
            if (!mistakes.empty()) return std::unexpected(mistakes);
            return Candidate{};
        };
    }
    [[nodiscard]] base::Result<Difference> prepare(Candidate /*candidate*/, bool dry_run) override {
        steps += dry_run ? "try " : "prepare ";
        if (!obstacle.empty()) return base::failure(obstacle);
        Difference found;
        found.added = {"server web/b"};
        return found;
    }
    std::uint64_t drop() override {
        steps += "drop ";
        return 7;
    }
    void count_closed(std::function<void(std::uint64_t)> answer) override { answer(3); }
    void commit(Committed in_force) override {
        steps += "commit ";
        committed.push_back(std::move(in_force));
    }

    std::string no_file;
    std::vector<std::string> mistakes;
    std::string obstacle;
    std::string steps;
    std::vector<Committed> committed;
};

struct Reloading {
    void ask(bool dry_run, json& end) { reload.start(dry_run, std::make_shared<RecordedReply>(end)); }
    [[nodiscard]] bool until(auto condition) { return test::run_until(loop, condition); }

    test::CapturedDescriptor err{STDERR_FILENO};
    net::Loop loop;
    net::Mailbox mailbox{loop};
    Events events{loop};
    Subject subject;
    Reload reload{mailbox, subject, events};
};

TEST_CASE("the reply comes when the configuration is in force") {
    Reloading test;
    std::vector<json> told;
    const auto follower = test.events.follow([&](const json& event) { told.push_back(event); });
    json end;
    test.ask(false, end);
    REQUIRE(test.until([&] { return test.subject.committed.size() == 1; }));
    CHECK(end.is_null());
    CHECK(test.reload.busy());
    test.subject.committed.front()(12);
    CHECK(end == json{{"ok", true},
                      {"dry_run", false},
                      {"generation", 12},
                      {"closes", 3},
                      {"changes",
                       {{"added", {"server web/b"}},
                        {"changed", json::array()},
                        {"removed", json::array()},
                        {"needs_restart", json::array()}}}});
    CHECK(test.subject.steps == "prepare commit ");
    CHECK_FALSE(test.reload.busy());
    REQUIRE(told.size() == 1);
    CHECK(told.front()["event"] == "reload");
    CHECK(told.front()["changes"]["added"] == json{"server web/b"});
    test.events.unfollow(follower);
}

TEST_CASE("a dry run stops before anything changes") {
    Reloading test;
    json end;
    test.ask(true, end);
    REQUIRE(test.until([&] { return !end.is_null(); }));
    CHECK(end["dry_run"] == true);
    CHECK(end["generation"] == 7);
    CHECK(end["changes"]["added"] == json{"server web/b"});
    CHECK(test.subject.steps == "try drop ");
}

TEST_CASE("every mistake is in the reply, and nothing is prepared") {
    Reloading test;
    test.subject.mistakes = {"f:1:2: one", "f:3:4: two"};
    json end;
    test.ask(false, end);
    REQUIRE(test.until([&] { return !end.is_null(); }));
    CHECK(end == json{{"ok", false},
                      {"error", "2 mistakes; nothing has changed"},
                      {"errors", {"f:1:2: one", "f:3:4: two"}}});
    CHECK(test.subject.steps.empty());
    CHECK_FALSE(test.reload.busy());
}

TEST_CASE("what cannot be prepared, or comes too late, is an error with its reason") {
    Reloading test;
    json end;
    SECTION("there is no file") {
        test.subject.no_file = "there is no file";
        test.ask(false, end);
        CHECK(end["error"] == "there is no file");
    }
    SECTION("an address is taken") {
        test.subject.obstacle = "listen on 127.0.0.1:80: Address already in use";
        test.ask(false, end);
        REQUIRE(test.until([&] { return !end.is_null(); }));
        CHECK(end["error"] == "listen on 127.0.0.1:80: Address already in use");
        CHECK(test.subject.committed.empty());
    }
    SECTION("palier stops meanwhile") {
        test.ask(false, end);
        REQUIRE(test.until([&] { return test.subject.committed.size() == 1; }));
        test.subject.committed.front()(base::failure("palier is stopping"));
        CHECK(end["error"] == "palier is stopping");
    }
    CHECK(end["ok"] == false);
    CHECK_FALSE(test.reload.busy());
}

TEST_CASE("one at a time: others wait, and load what the file says then") {
    Reloading test;
    json first;
    json second;
    test.ask(false, first);
    test.ask(false, second);
    REQUIRE(test.until([&] { return test.subject.committed.size() == 1; }));
    test.subject.mistakes = {"f:1:1: later"};
    test.subject.committed.front()(1);
    CHECK(first["ok"] == true);
    REQUIRE(test.until([&] { return !second.is_null(); }));
    CHECK(second["error"] == "f:1:1: later");
}

TEST_CASE("a crowd of reloads is refused") {
    Reloading test;
    std::vector<json> ends(18);
    for (json& end : ends)
        test.ask(true, end);
    CHECK(ends.back()["error"] == "too many reloads are waiting already");
    REQUIRE(test.until([&] { return !test.reload.busy(); }));
    CHECK(std::ranges::count_if(ends, [](const json& end) { return end["ok"] == true; }) == 17);
}

TEST_CASE("options of the command are checked") {
    Reloading test;
    json end;
    test.reload.command().run(
        {.command = "reload", .words = {}, .options = {{"dry_run", "maybe"}}, .peer = {}},
        std::make_shared<RecordedReply>(end));
    CHECK(end["error"] == "dry_run must be true or false");
    CHECK_FALSE(test.reload.busy());
}

}  // namespace
}  // namespace palier::control
