#include "palier/net/process.h"

#include "net/environment.h"
#include "net/line_quota.h"
#include "net/line_reader.h"
#include "palier/base/assert.h"
#include "palier/net/deferred.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace palier::net {
namespace {

constexpr std::uint64_t kPipesAfterEndMs = 1'000;
constexpr std::uint64_t kOutOfReachMs = 5'000;  // after SIGKILL
constexpr int kReapMs = 1'000;

/// As execve(2) wants them; views into `texts`.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts)
        pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// Children whose end is still to be told; the loop's thread alone starts any.
std::set<int>& expected() {
    static std::set<int> pids;
    return pids;
}

/// A child that was killed just now ends at once, unless the kernel holds it; then init inherits it.
void reap(int pid) {
    const auto descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (descriptor >= 0) {
        pollfd watched{descriptor, POLLIN, 0};
        static_cast<void>(::poll(&watched, 1, kReapMs));
        ::close(descriptor);
    }
    static_cast<void>(::waitpid(pid, nullptr, WNOHANG));
}

}  // namespace

struct Process::State final : Deferred {
    State(Loop& on, Options&& asked);
    ~State() override = default;

    [[nodiscard]] base::Result<void> spawn();
    [[nodiscard]] base::Result<int> make_pipe(LineReader& reader) const;
    void let_go();

    void send_signal(int number) const;
    void terminate(std::uint64_t grace_ms);
    void on_exit(std::int64_t status, int signal);
    void on_timer();
    void on_line(Stream stream, std::string_view text, bool cut);
    void end_if_quiet();

    struct Handle {
        uv_process_t process{};
        State* state = nullptr;  // null once nobody wants to know
    };
    void close_handle();

    Loop& loop;
    Options options;
    LineReader out;
    LineReader err;
    Handle* handle = nullptr;  // null once the child has ended; freed by libuv's close callback
    int pid = 0;
    bool terminating = false;
    bool killed = false;
    bool told = false;  // or nobody wants to know
    End end;
    base::Timer timer;  // the grace, the time to die, then the time for the pipes
    LineQuota quota;
};

Process::State::State(Loop& on, Options&& asked)
    : loop(on),
      options(std::move(asked)),
      out(
          on, [this](std::string_view text, bool cut) { on_line(Stream::out, text, cut); },
          [this] { end_if_quiet(); }),
      err(
          on, [this](std::string_view text, bool cut) { on_line(Stream::err, text, cut); },
          [this] { end_if_quiet(); }),
      timer(base::Timer::calling<&State::on_timer>(this)) {}

/// Gives the end that the child is to write to.
base::Result<int> Process::State::make_pipe(LineReader& reader) const {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::system_failure("pipe", errno);
    // On a pipe just made, F_SETFL cannot fail.
    static_cast<void>(::fcntl(ends[0], F_SETFL, O_NONBLOCK));
    if (!reader.open(ends[0])) {
        const int error = errno;
        ::close(ends[1]);
        return base::system_failure("pipe", error);
    }
    return ends[1];
}

base::Result<void> Process::State::spawn() {
    std::vector<std::string> environment = changed_environment(options.environment);
    const std::vector<char*> argv = pointers_to(options.argv);
    const std::vector<char*> envp = pointers_to(environment);
    std::array<uv_stdio_container_t, 3> stdio{};
    stdio[0].flags = UV_IGNORE;
    std::array<int, 2> writing{STDOUT_FILENO, STDERR_FILENO};
    if (options.on_line) {
        // Pipes and not libuv's socket pairs: a shell's `>/dev/stderr` cannot open a socket.
        for (std::size_t i = 0; i < writing.size(); ++i) {
            auto made = make_pipe(i == 0 ? out : err);
            if (!made) {
                if (i == 1) ::close(writing[0]);
                return std::unexpected(std::move(made.error()));
            }
            writing[i] = *made;
        }
    }
    for (std::size_t i = 0; i < writing.size(); ++i) {
        stdio[i + 1].flags = UV_INHERIT_FD;
        stdio[i + 1].data.fd = writing[i];
    }
    uv_process_options_t asked{};
    asked.file = argv.front();
    asked.args = const_cast<char**>(argv.data());
    asked.env = const_cast<char**>(envp.data());
    asked.flags = options.own_session ? static_cast<unsigned>(UV_PROCESS_DETACHED) : 0U;
    asked.stdio = stdio.data();
    asked.stdio_count = static_cast<int>(stdio.size());
    asked.exit_cb = [](uv_process_t* process, std::int64_t status, int signal) {
        State* state = static_cast<Handle*>(process->data)->state;
        if (state != nullptr) state->on_exit(status, signal);
    };
    handle = new Handle;
    handle->state = this;
    handle->process.data = handle;
    const int error = uv_spawn(loop.uv(), &handle->process, &asked);
    if (options.on_line) {
        for (const int descriptor : writing)
            ::close(descriptor);
    }
    if (error != 0) {
        close_handle();
        return base::system_failure("cannot run " + options.argv.front(), -error);
    }
    pid = handle->process.pid;
    expected().insert(pid);
    return {};
}

void Process::State::close_handle() {
    if (handle == nullptr) return;
    static_cast<void>(loop.uv());
    expected().erase(pid);
    handle->state = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle->process),
             [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
    handle = nullptr;
}

/// No callback is called any more.
void Process::State::let_go() {
    told = true;
    base::TimerWheel::disarm(timer);
    close_handle();
    out.close();
    err.close();
}

void Process::State::send_signal(int number) const {
    static_cast<void>(::kill(options.own_session ? -pid : pid, number));
}

void Process::State::terminate(std::uint64_t grace_ms) {
    if (handle == nullptr || killed) return;
    const std::uint64_t deadline = loop.now_ms() + grace_ms;
    if (!terminating) {
        terminating = true;
        send_signal(SIGTERM);
    }
    if (grace_ms == 0) {
        on_timer();
    } else if (deadline < timer.deadline()) {
        loop.timers().arm(timer, deadline);
    }
}

void Process::State::on_timer() {
    if (handle == nullptr) {  // its pipes have had their time
        out.close();
        err.close();
        end_if_quiet();
    } else if (!killed) {
        killed = true;
        send_signal(SIGKILL);
        loop.timers().arm(timer, loop.now_ms() + kOutOfReachMs);
    } else {
        // Not ours to signal (it has become another user's), or held by the kernel.
        end.out_of_reach = true;
        close_handle();
        out.close();
        err.close();
        end_if_quiet();
    }
}

void Process::State::on_exit(std::int64_t status, int signal) {
    end.status = static_cast<int>(status);
    end.signal = signal;
    // Its number cannot be given to another group while members are left; without any, nothing is hit.
    if (terminating && options.own_session) send_signal(SIGKILL);
    close_handle();
    loop.timers().arm(timer, loop.now_ms() + kPipesAfterEndMs);
    end_if_quiet();
}

void Process::State::on_line(Stream stream, std::string_view text, bool cut) {
    if (told) return;
    if (!quota.admits(text.size(), loop.now_ms())) {
        ++end.dropped;
        return;
    }
    options.on_line({stream, text, cut, quota.take_dropped()});
}

void Process::State::end_if_quiet() {
    if (told || handle != nullptr || out.is_open() || err.is_open()) return;
    told = true;
    base::TimerWheel::disarm(timer);
    if (options.on_end) options.on_end(end);
}

std::string Process::End::words() const {
    if (out_of_reach) return "could not be killed";
    if (signal != 0) return fmt::format("ended by signal {} ({})", signal, ::strsignal(signal));
    return fmt::format("exit status {}", status);
}

Process::Process(std::unique_ptr<State> state) : state_(std::move(state)) {}

base::Result<std::unique_ptr<Process>> Process::start(Loop& loop, Options options) {
    PALIER_ASSERT(!options.argv.empty());
    auto state = std::make_unique<State>(loop, std::move(options));
    if (auto spawned = state->spawn(); !spawned) {
        state->let_go();
        loop.defer_delete(std::move(state));
        return std::unexpected(std::move(spawned.error()));
    }
    return std::unique_ptr<Process>(new Process(std::move(state)));
}

Process::~Process() {
    Loop& loop = state_->loop;
    const bool runs = state_->handle != nullptr;
    if (runs) state_->send_signal(SIGKILL);
    state_->let_go();
    if (runs) reap(state_->pid);
    loop.defer_delete(std::move(state_));
}

int Process::pid() const {
    return state_->pid;
}

bool Process::running() const {
    return !state_->told;
}

void Process::terminate(std::uint64_t grace_ms) {
    state_->terminate(grace_ms);
}

void Process::release() {
    state_->let_go();
}

void reap_orphans() {
    while (true) {
        siginfo_t ended{};
        const int found = ::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT);
        // One that is expected is left to libuv, which has not looked yet; others may be behind it.
        if (found != 0 || ended.si_pid == 0 || expected().contains(ended.si_pid)) return;
        static_cast<void>(::waitpid(ended.si_pid, nullptr, WNOHANG));
    }
}

}  // namespace palier::net
