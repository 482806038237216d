#include "control/rollout_hook.h"

#include "catch.h"
#include "net/loop_fixture.h"

#include <cstdlib>
#include <optional>

using namespace palier;
using namespace palier::control;
using namespace palier::test;

namespace {

const RolloutPlace kPlace{"web", "front 1", "10.0.0.11:8080", "srv1"};

struct HookRun {
    explicit HookRun(std::string command, bool shell = true, int timeout_ms = 60'000,
                     std::uint64_t grace_ms = 10'000)
        : hook(
              loop,
              {.command = std::move(command),
               .shell = shell,
               .timeout = config::Duration(timeout_ms),
               .grace_ms = grace_ms},
              [this](net::Process::Stream stream, std::string_view line) {
                  lines.push_back((stream == net::Process::Stream::err ? "err: " : "") + std::string(line));
              },
              [this](const std::string& told) { fault = told; }) {
        if (auto started = hook.start(kPlace); !started) fault = started.error().message;
    }

    [[nodiscard]] std::string outcome() {
        return run_until(loop, [&] { return fault.has_value(); }) ? *fault : "still runs";
    }

    net::Loop loop;
    std::vector<std::string> lines;
    std::optional<std::string> fault;
    RolloutHook hook;
};

}  // namespace

TEST_CASE("a hook knows its server, by its words and by its environment") {
    SECTION("without a shell") {
        HookRun run("printf '%s|' {server} --at={address} '$PALIER_NODE' \"{pool} {node}\"", false);
        CHECK(run.outcome().empty());
        CHECK(run.lines == std::vector<std::string>{"front 1|--at=10.0.0.11:8080|$PALIER_NODE|web srv1|"});
    }
    SECTION("with a shell") {
        ::setenv("NOTIFY_SOCKET", "@palier-test", 1);
        HookRun run(
            "printf '%s|' {server} \"$PALIER_POOL\" \"$PALIER_SERVER\" $PALIER_ADDRESS $PALIER_NODE; echo "
            "${NOTIFY_SOCKET-none} >&2");
        ::unsetenv("NOTIFY_SOCKET");
        CHECK(run.outcome().empty());
        REQUIRE(run.lines.size() == 2);
        const bool err_first = run.lines[0].starts_with("err: ");
        CHECK(run.lines[err_first ? 1 : 0] == "front 1|web|front 1|10.0.0.11:8080|srv1|");
        CHECK(run.lines[err_first ? 0 : 1] == "err: none");
    }
}

TEST_CASE("a hook's fault says how it ended and what it said last") {
    CHECK(HookRun("exit 3").outcome() == "exit status 3");
    CHECK(HookRun("echo begun; echo 'no \033[31mroom\033[0m' ; exit 1").outcome() ==
          "exit status 1; it said last: no room");
    CHECK(HookRun("kill -9 $$").outcome() == "ended by signal 9 (Killed)");
    CHECK(HookRun("/nonexistent/hook", false).outcome() ==
          "cannot run /nonexistent/hook: No such file or directory");
    const std::string shown = HookRun("head -c 5000 /dev/zero | tr '\\0' x; exit 1").outcome();
    CHECK(shown == "exit status 1; it said last: " + std::string(200, 'x') + "…");
}

TEST_CASE("a hook that hangs is ended at its deadline") {
    CHECK(HookRun("exec sleep 1000", true, 30).outcome() ==
          "not done within 30ms: ended by signal 15 (Terminated)");
    // One that heeds the signal and then says that all is well was late all the same.
    CHECK(HookRun("trap 'exit 0' TERM; sleep 1000 & wait", true, 100).outcome() ==
          "not done within 100ms: exit status 0");
}

TEST_CASE("a hook that heeds no signal is killed") {
    // A shell takes a while to its first command, and on a busy machine a long one.
    for (int timeout_ms = 30;; timeout_ms *= 2) {
        HookRun run("trap '' TERM; echo deaf; while :; do sleep 1000; done", true, timeout_ms, 30);
        const std::string outcome = run.outcome();
        if (run.lines.empty() && timeout_ms < 10'000) continue;
        CHECK(run.lines == std::vector<std::string>{"deaf"});
        CHECK(outcome.ends_with("ms: ended by signal 9 (Killed); it said last: deaf"));
        break;
    }
}

TEST_CASE("a flood is told as such") {
    HookRun run("yes | head -n 20000; exit 0");
    CHECK(run.outcome().empty());
    CHECK(run.lines.size() < 20'000);
}

TEST_CASE("whatever a hook prints is text that a terminal may show") {
    CHECK(tame("plain ü €") == "plain ü €");
    CHECK(tame("a\tb\r") == "a b");
    CHECK(tame(std::string_view("\0\x01\x7f", 3)).empty());
    CHECK(tame("\x1b[1;31mred\x1b[0m \x1b]0;title\x07") == "red ]0;title");
    CHECK(tame("\x1b[1;31") == "");
    CHECK(tame("\xff\xc3") == "\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK(tame("\xc2\x9b"
               "31m") == "31m");  // a control of ISO 6429, in UTF-8
}
