#include "captured_descriptor.h"
#include "catch.h"
#include "control/control_fixture.h"
#include "palier/control/command.h"
#include "palier/control/events.h"

#include <stdexcept>

namespace palier::control {
namespace {

using nlohmann::json;
using test::ControlFixture;

struct Told {
    explicit Told(ControlFixture& fixture) : control(fixture) {
        control.commands.add({.name = "drain",
                              .usage = "drain POOL/SERVER [wait=30s]",
                              .about = "no new exchanges",
                              .least_words = 1,
                              .most_words = 2,
                              .options = {"wait", "reason"},
                              .changes = true,
                              .run = [this](const Request&, const std::shared_ptr<Reply>& reply) {
                                  ++drained;
                                  reply->done();
                              }});
        control.commands.add({.name = "throw",
                              .usage = "throw",
                              .about = "",
                              .options = {},
                              .run = [](const Request&, const std::shared_ptr<Reply>&) {
                                  throw std::runtime_error("out of luck");
                              }});
    }
    [[nodiscard]] std::string error_of(const std::string& line) const {
        const auto answers = control.answers_to(line + "\n");
        REQUIRE(answers.size() == 1);
        return answers[0].value("error", "");
    }

    ControlFixture& control;
    int drained = 0;
};

TEST_CASE("requests are checked before a command sees them") {
    ControlFixture control;
    const Told told(control);
    CHECK(told.error_of("drian web/a") == "there is no command \"drian\"; did you mean \"drain\"?");
    CHECK(told.error_of("xyzzy") == "there is no command \"xyzzy\"; see help");
    CHECK(told.error_of("drain web/a wiat=3s") ==
          "drain has no option \"wiat\"; did you mean \"wait\"? usage: drain POOL/SERVER [wait=30s]");
    CHECK(told.error_of("drain") == "usage: drain POOL/SERVER [wait=30s]");
    CHECK(told.error_of("drain a b c") == "usage: drain POOL/SERVER [wait=30s]");
    CHECK(told.drained == 0);
    CHECK(told.error_of("drain web/a wait=3s by=anna").empty());
    CHECK(told.error_of("drain a b").empty());
    CHECK(told.drained == 2);
    CHECK(told.error_of("echo by=anna").empty());
}

TEST_CASE("changes are refused while something says so, and nothing else is") {
    ControlFixture control;
    const Told told(control);
    control.commands.refuse_changes("an upgrade is under way");
    CHECK(told.error_of("drain web/a") == "an upgrade is under way");
    CHECK(told.error_of("drain") == "usage: drain POOL/SERVER [wait=30s]");
    CHECK(told.error_of("echo").empty());
    control.commands.refuse_changes("");
    CHECK(told.error_of("drain web/a").empty());
}

TEST_CASE("a command that throws has failed") {
    ControlFixture control;
    const Told told(control);
    test::CapturedDescriptor log(STDERR_FILENO);
    CHECK(told.error_of("throw") == "throw failed: out of luck");
    CHECK(log.text().find("control: throw failed: out of luck") != std::string::npos);
}

TEST_CASE("changes are logged with who made them, and told to followers") {
    ControlFixture control;
    const Told told(control);
    Events events(control.loop);
    control.commands.report_to(events);
    std::vector<json> heard;
    static_cast<void>(events.follow([&](const json& event) { heard.push_back(event); }));
    std::string text;
    {
        base::log_start(base::LogLevel::info);
        test::CapturedDescriptor log(STDERR_FILENO);
        CHECK(told.error_of("drain web/a by=anna reason=\"new kernel\"").empty());
        CHECK(told.error_of("drain web/a").empty());
        CHECK_FALSE(told.error_of("drain").empty());
        CHECK(told.error_of("echo").empty());
        text = log.text();
    }
    const std::string peer = "by uid " + std::to_string(::getuid()) + " pid " + std::to_string(::getpid());
    CHECK(text.find(" info control: drain web/a reason=\"new kernel\" " + peer + " (anna)\n") !=
          std::string::npos);
    CHECK(text.find(" info control: drain web/a " + peer + "\n") != std::string::npos);
    CHECK(text.find("echo") == std::string::npos);
    REQUIRE(heard.size() == 2);
    CHECK(heard[0].erase("time") == 1);
    CHECK(heard[0] == json{{"event", "command"},
                           {"line", "drain web/a reason=\"new kernel\""},
                           {"uid", ::getuid()},
                           {"pid", ::getpid()},
                           {"by", "anna"}});
}

TEST_CASE("help tells every command, and a later command of the same name replaces the former") {
    ControlFixture control;
    const Told told(control);
    control.commands.add_help();
    control.commands.add({.name = "echo",
                          .usage = "echo WORD",
                          .about = "anew",
                          .options = {},
                          .run = [](const Request&, const std::shared_ptr<Reply>& reply) { reply->done(); }});
    const auto answers = control.answers_to("help\n");
    REQUIRE(answers.size() == 1);
    const json& commands = answers[0]["commands"];
    CHECK(commands.size() == control.commands.commands().size());
    CHECK(commands[0] ==
          json{{"name", "echo"}, {"usage", "echo WORD"}, {"about", "anew"}, {"changes", false}});
    CHECK(std::ranges::count_if(commands, [](const json& one) {
              return one["name"] == "drain" && one["changes"] == true;
          }) == 1);
    const auto of_one = control.answers_to("help echo\nhelp ehco\n");
    REQUIRE(of_one.size() == 2);
    CHECK(of_one[0]["commands"] == json::array({commands[0]}));
    CHECK(of_one[1]["error"] == "there is no command \"ehco\"; did you mean \"echo\"?");
}

}  // namespace
}  // namespace palier::control
