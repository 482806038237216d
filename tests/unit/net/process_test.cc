#include "palier/net/process.h"

#include "catch.h"
#include "loop_fixture.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>

using namespace palier::net;
using namespace palier::test;

namespace {

struct Run {
    explicit Run(Loop& on, std::vector<std::string> argv)
        : Run(on, Process::Options{.argv = std::move(argv)}) {}
    Run(Loop& on, Process::Options options) : loop(on) {
        options.on_line = [this](const Process::Line& line) {
            (line.stream == Process::Stream::out ? out : err).emplace_back(line.text);
            cut += line.cut ? 1 : 0;
        };
        options.on_end = [this](const Process::End& told) { end = told; };
        auto started = Process::start(on, std::move(options));
        if (started) {
            process = std::move(*started);
        } else {
            error = started.error().message;
        }
    }
    static Run shell(Loop& on, const std::string& script) { return Run(on, {"/bin/sh", "-c", script}); }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    [[nodiscard]] bool ended() {
        return run_until(loop, [&] { return end.has_value(); });
    }

    Loop& loop;
    std::unique_ptr<Process> process;
    std::string error;
    std::vector<std::string> out;
    std::vector<std::string> err;
    int cut = 0;
    std::optional<Process::End> end;
};

bool has_children() {
    return ::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD;
}

std::set<int> open_descriptors() {
    std::set<int> numbers;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        numbers.insert(std::stoi(entry.path().filename().string()));
    // The directory's own is closed by now.
    std::erase_if(numbers, [](int number) { return ::fcntl(number, F_GETFD) < 0; });
    return numbers;
}

/// Those that a child would have too.
std::set<int> inherited_descriptors() {
    std::set<int> numbers = open_descriptors();
    std::erase_if(numbers, [](int number) { return (::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0; });
    return numbers;
}

bool alive(int pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string number;
    std::string name;
    std::string state;
    return (stat >> number >> name >> state) && state != "Z";
}

}  // namespace

TEST_CASE("a child's output comes line by line, its exit status last") {
    Loop loop;
    Run run = Run::shell(loop, "echo one; echo two; echo wrong >&2; printf three; exit 7");
    REQUIRE(run.ended());
    CHECK(run.out == std::vector<std::string>{"one", "two", "three"});
    CHECK(run.err == std::vector<std::string>{"wrong"});
    CHECK(run.end->status == 7);
    CHECK_FALSE(run.end->well());
    CHECK(run.end->words() == "exit status 7");
    CHECK_FALSE(run.process->running());
    CHECK_FALSE(has_children());
}

TEST_CASE("a child begins with a clean slate") {
    std::set<int> inherited = inherited_descriptors();
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    Loop loop;
    Run status(loop, {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"});
    REQUIRE(status.ended());
    REQUIRE(status.out.size() == 2);
    CHECK(status.out[0] == "SigBlk:\t0000000000000000");
    CHECK(status.out[1] == "SigIgn:\t0000000000000000");
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

    CHECK(inherited_descriptors() == inherited);
    Run descriptors(loop, {"ls", "/proc/self/fd"});
    REQUIRE(descriptors.ended());
    // One more is that of the directory that ls reads.
    inherited.insert({0, 1, 2});
    CHECK(descriptors.out.size() == inherited.size() + 1);
}

TEST_CASE("its environment is palier's, with changes") {
    Loop loop;
    ::setenv("PALIER_TEST_KEPT", "kept", 1);
    ::setenv("PALIER_TEST_REMOVED", "x", 1);
    Run run(loop,
            Process::Options{
                .argv = {"/bin/sh", "-c",
                         "echo \"$PALIER_TEST_KEPT ${PALIER_TEST_REMOVED-gone} $PALIER_SERVER\"; cat"},
                .environment = {{"PALIER_SERVER", "front 1=ü"}, {"PALIER_TEST_REMOVED", std::nullopt}}});
    REQUIRE(run.ended());
    CHECK(run.out == std::vector<std::string>{"kept gone front 1=ü"});
}

TEST_CASE("what cannot be run says why, and leaves nothing") {
    Loop loop;
    loop.run_once(0);
    const std::set<int> before = open_descriptors();
    {
        const Run missing(loop, {"/nonexistent/deploy.sh"});
        CHECK(missing.error == "cannot run /nonexistent/deploy.sh: No such file or directory");
        const Run forbidden(loop, {"/etc/passwd"});
        CHECK(forbidden.error == "cannot run /etc/passwd: Permission denied");
    }
    loop.run_once(0);
    CHECK(open_descriptors() == before);
    CHECK_FALSE(has_children());
}

TEST_CASE("output is bounded: long lines, floods, bytes of any kind") {
    Loop loop;
    SECTION("a line of a megabyte is cut") {
        Run run = Run::shell(loop, "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo after");
        REQUIRE(run.ended());
        CHECK(run.out == std::vector<std::string>{std::string(4096, 'x'), "after"});
        CHECK(run.cut == 1);
    }
    SECTION("megabytes of lines are read to their end, and counted") {
        constexpr std::uint64_t kLines = 2'000'000;
        Run run = Run::shell(loop, "yes 'a line' | head -n 2000000");
        REQUIRE(run.ended());
        CHECK(run.end->well());
        CHECK(run.out.size() >= 1000);
        CHECK(run.out.size() <= 20'000);
        CHECK(run.out.size() + run.end->dropped == kLines);
    }
    SECTION("any bytes") {
        Run run = Run::shell(loop, "printf 'a\\000b\\377\\n'");
        REQUIRE(run.ended());
        CHECK(run.out == std::vector<std::string>{std::string("a\0b\xff", 4)});
    }
}

TEST_CASE("a flood does not keep the loop from others") {
    Loop loop;
    Run flood = Run::shell(loop, "yes");
    REQUIRE(run_until(loop, [&] { return flood.out.size() == 1000; }));
    Run other = Run::shell(loop, "echo here");
    REQUIRE(other.ended());
    CHECK(other.out == std::vector<std::string>{"here"});
    flood.process->terminate(10'000);
    REQUIRE(flood.ended());
    CHECK(flood.end->signal == SIGTERM);
    CHECK(flood.end->words() == "ended by signal 15 (Terminated)");
}

TEST_CASE("a child that ignores SIGTERM is killed, with its group") {
    Loop loop;
    Run run = Run::shell(loop, "trap '' TERM; sleep 1000 & echo $!; wait; wait; wait");
    REQUIRE(run_until(loop, [&] { return run.out.size() == 1; }));
    const int background = std::stoi(run.out.front());
    CHECK(alive(background));
    run.process->terminate(10'000);
    run.process->terminate(30);
    REQUIRE(run.ended());
    CHECK(run.end->signal == SIGKILL);
    CHECK(run_until(loop, [&] { return !alive(background); }));
    CHECK_FALSE(has_children());
}

TEST_CASE("a process in the background keeps its output, not the end") {
    Loop loop;
    Run run = Run::shell(loop, "sleep 1000 & echo $!");
    REQUIRE(run.ended());
    CHECK(run.end->well());
    const int background = std::stoi(run.out.at(0));
    CHECK(alive(background));  // it may be the very thing that the hook was to start
    ::kill(background, SIGKILL);
}

TEST_CASE("a child that is let go lives on, one whose owner dies does not") {
    Loop loop;
    Run run = Run::shell(loop, "echo ready; exec sleep 1000");
    REQUIRE(run_until(loop, [&] { return !run.out.empty(); }));
    const int pid = run.process->pid();
    SECTION("released") {
        run.process->release();
        run.process.reset();
        loop.run_once(0);
        CHECK(alive(pid));
        ::kill(pid, SIGKILL);
        CHECK(::waitpid(pid, nullptr, 0) == pid);
    }
    SECTION("destroyed") {
        run.process.reset();
        loop.run_once(0);
        CHECK_FALSE(has_children());
    }
    CHECK_FALSE(run.end.has_value());
}

TEST_CASE("a callback may destroy the process") {
    Loop loop;
    std::unique_ptr<Process> process;
    int lines = 0;
    auto started = Process::start(loop, {.argv = {"yes"}, .on_line = [&](const Process::Line& /*line*/) {
                                             ++lines;
                                             process.reset();
                                         }});
    REQUIRE(started);
    process = std::move(*started);
    REQUIRE(run_until(loop, [&] { return process == nullptr; }));
    loop.run_once(0);
    CHECK(lines == 1);
    CHECK_FALSE(has_children());
}

TEST_CASE("what was left by others is reaped, and what a Process is about is not") {
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    Loop loop;
    Run parent = Run::shell(loop, "sleep 0.05 >/dev/null 2>&1 & exit 3");
    REQUIRE(run_until(loop, [&] { return parent.end.has_value(); }));
    CHECK(parent.end->status == 3);
    Run other = Run::shell(loop, "exit 4");
    const auto has_children = [] {
        siginfo_t one{};
        return ::waitid(P_ALL, 0, &one, WEXITED | WNOHANG | WNOWAIT) == 0;
    };
    const std::uint64_t until = palier::base::monotonic_ms() + kPatienceMs;
    while (palier::base::monotonic_ms() < until) {  // its loop does not turn: `other` stays as it is
        reap_orphans();
        siginfo_t one{};
        if (::waitid(P_PID, static_cast<id_t>(other.process->pid()), &one, WEXITED | WNOHANG | WNOWAIT) ==
                0 &&
            one.si_pid != 0)
            break;
    }
    reap_orphans();
    REQUIRE(run_until(loop, [&] { return other.end.has_value(); }));
    CHECK(other.end->status == 4);
    CHECK(run_until(loop, [&] {
        reap_orphans();
        return !has_children();
    }));
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}
