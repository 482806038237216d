#include "control/rollout_record.h"

#include "catch.h"

#include <unistd.h>

using namespace palier::control;
using nlohmann::json;

namespace {

RolloutRecord sample() {
    RolloutRecord record;
    record.options = {{"run", "deploy.sh {server}"}, {"batch", "2"}};
    record.uid = 1000;
    record.pid = 4711;
    record.started_ms = 1'800'000'000'000;
    record.order = {"a", "b", "c", "d", "e"};
    record.done = {"a"};
    record.skipped = {{"b", "disabled"}};
    record.at = {{"c", {.step = "hook", .drained = true, .hook = 17, .hook_born = "123"}},
                 {"d", {.step = "soak"}}};
    record.failed = {{"c", "hook", "exit status 1", "done"}, {"d", "soak", "slow", ""}};
    record.stopped = "c, step hook: exit status 1";
    return record;
}

}  // namespace

TEST_CASE("a roll-out's record is the same after it was kept") {
    const RolloutRecord record = sample();
    const auto again = RolloutRecord::from_json(json::parse(record.to_json().dump()));
    REQUIRE(again);
    CHECK(*again == record);
    const auto empty = RolloutRecord::from_json(RolloutRecord{}.to_json());
    REQUIRE(empty);
    CHECK(*empty == RolloutRecord{});
}

TEST_CASE("a record that somebody has edited is refused, whatever it has become") {
    const json whole = sample().to_json();
    for (const auto& [key, value] : whole.items()) {
        json broken = whole;
        broken.erase(key);
        CHECK_FALSE(RolloutRecord::from_json(broken));
        for (const json& other : {json(nullptr), json(true), json({{"x", {1}}}), json({{1, 2}})}) {
            broken[key] = other;
            CHECK_FALSE(RolloutRecord::from_json(broken));
        }
    }
    for (const json& other : {json("text"), json(3), json::array(), json::object()})
        CHECK_FALSE(RolloutRecord::from_json(other));
}

TEST_CASE("a record knows where it stands") {
    const RolloutRecord record = sample();
    CHECK(record.untouched() == std::vector<std::string>{"e"});
    CHECK(record.drained() == std::vector<std::string>{"c"});
    CHECK(record.place() == "c, step hook; d, step soak");
    CHECK(RolloutRecord{}.place() == "between two servers");
}

TEST_CASE("a process is told from a later one of its id by its birth") {
    CHECK_FALSE(birth_of_process(::getpid()).empty());
    CHECK(birth_of_process(::getpid()) == birth_of_process(::getpid()));
    CHECK(birth_of_process(::getpid()) != birth_of_process(1));
    CHECK(birth_of_process(0x7fffffff).empty());
}
