#include "app/forwarder.h"

#include "palier/base/log.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr std::uint64_t kUnknownMs = 2'000;  // for its parent to tell how it ended
constexpr int kSignalOffset = 128;           // of exit codes, as shells have them
constexpr int kUnknownExit = 1;
constexpr std::string_view kServing = "serving";
constexpr std::string_view kEnded = "ended ";

constexpr std::array kPassedOn{SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT};

/// Without a handler, the first process of a container would lose them.
void mask_signals(int how) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : kPassedOn)
        sigaddset(&signals, signal);
    pthread_sigmask(how, &signals, nullptr);
}

/// "17 256": a process and its status.
std::optional<std::pair<pid_t, int>> two_numbers(std::string_view text) {
    std::pair<pid_t, int> numbers;
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, numbers.first);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return std::nullopt;
    const auto second = std::from_chars(first.ptr + 1, end, numbers.second);
    if (second.ec != std::errc() || second.ptr != end) return std::nullopt;
    return numbers;
}

pid_t sender_of(const msghdr& message) {
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS)
        return 0;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    return sender.pid;
}

}  // namespace

bool must_stay(bool replaced) {
    if (::getpid() == 1) return true;
    if (replaced) return false;
    const char* const notify = std::getenv("NOTIFY_SOCKET");
    return ::getppid() == 1 && (notify == nullptr || *notify == '\0');
}

base::Result<std::array<int, 2>> open_forwarder_line() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
        return base::system_failure("no line to those who will serve", errno);
    const int on = 1;
    ::setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    return ends;
}

void say_serving(int line) {
    static_cast<void>(::send(line, kServing.data(), kServing.size(), MSG_NOSIGNAL));
}

void say_ended(int line, pid_t pid, int status) {
    const std::string text = fmt::format("{}{} {}", kEnded, pid, status);
    static_cast<void>(::send(line, text.data(), text.size(), MSG_NOSIGNAL));
}

int forward(Forwarder& forwarder) {
    ::malloc_trim(0);
    net::Loop loop;
    forwarder.work_on(loop, [] {});
    while (!forwarder.exit_code())
        loop.run_once(std::numeric_limits<int>::max());
    forwarder.rest();
    return *forwarder.exit_code();
}

Forwarder::Forwarder(int line, pid_t serving) : line_(line), serving_(serving) {
    // What a palier leaves behind when it ends is ours then, and not of a process further up.
    if (::getpid() != 1) ::prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
}

Forwarder::~Forwarder() {
    rest();
    ::close(line_);
}

void Forwarder::work_on(net::Loop& loop, std::function<void()> ended) {
    rest();
    loop_ = &loop;
    ended_ = std::move(ended);
    signals_ = std::make_unique<net::Signals>(loop);
    for (const int signal : kPassedOn)
        signals_->on(signal, [this, signal] { pass_on(signal); });
    signals_->on(SIGCHLD, [this] { reap(); });
    mask_signals(SIG_UNBLOCK);
    if (!loop.watch_level(line_, *this)) base::log_warning("it is not heard any more who serves");
    watch_serving();
    reap();
}

void Forwarder::rest() {
    if (loop_ == nullptr) return;
    mask_signals(SIG_BLOCK);
    loop_->unwatch(line_);
    if (serving_descriptor_ >= 0) ::close(std::exchange(serving_descriptor_, -1));
    base::TimerWheel::disarm(unknown_timer_);
    signals_.reset();
    loop_ = nullptr;
}

void Forwarder::pass_on(int signal) const {
    if (!exit_code_ && serving_ > 0) ::kill(serving_, signal);
}

void Forwarder::on_events(std::uint32_t /*ready*/) {
    reap();
}

/// What is said on the line was said before whoever said it ended, and is heard before that.
void Forwarder::read_line() {
    std::array<char, 128> room;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control;
    while (true) {
        iovec piece{room.data(), room.size()};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(line_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        // Nobody has the other end any more: nobody serves, but whoever did may still be on its way out.
        if (got == 0 && loop_ != nullptr) loop_->unwatch(line_);
        if (got <= 0) return;
        read_message({room.data(), static_cast<std::size_t>(got)}, sender_of(message));
    }
}

void Forwarder::read_message(std::string_view text, pid_t from) {
    if (text == kServing) {
        now_serves(from);
        return;
    }
    if (!text.starts_with(kEnded)) return;
    const auto ended = two_numbers(text.substr(kEnded.size()));
    if (ended && ended->first == serving_) end(ended->second);
}

void Forwarder::now_serves(pid_t pid) {
    if (pid == serving_ || exit_code_) return;
    serving_ = pid;
    if (pid == 0) {
        base::log_warning(
            "a palier serves that is not to be seen from here; this process has nobody to stay for");
        end(0);
        return;
    }
    base::log_info("process {} serves now", pid);
    watch_serving();
}

void Forwarder::watch_serving() {
    if (serving_descriptor_ >= 0) ::close(std::exchange(serving_descriptor_, -1));
    base::TimerWheel::disarm(unknown_timer_);
    if (loop_ == nullptr || serving_ <= 0) return;
    // Without pidfds (before Linux 5.3) only children are missed.
    serving_descriptor_ = static_cast<int>(::syscall(SYS_pidfd_open, serving_, 0));
    if (serving_descriptor_ >= 0 && loop_->watch_level(serving_descriptor_, *this)) return;
    if (serving_descriptor_ >= 0) ::close(std::exchange(serving_descriptor_, -1));
}

void Forwarder::reap() {
    read_line();
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
        if (pid == serving_) end(status);
    }
    if (exit_code_ || loop_ == nullptr || !serving_gone()) return;
    // Somebody else's child: its parent is about to tell. Its descriptor has nothing more to say.
    ::close(std::exchange(serving_descriptor_, -1));
    loop_->timers().arm(unknown_timer_, loop_->now_ms() + kUnknownMs);
}

bool Forwarder::serving_gone() const {
    if (serving_descriptor_ < 0) return false;
    pollfd entry{.fd = serving_descriptor_, .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, 0) > 0;
}

void Forwarder::end(int status) {
    if (exit_code_) return;
    exit_code_ = WIFSIGNALED(status) ? kSignalOffset + WTERMSIG(status) : WEXITSTATUS(status);
    base::log_info("process {}, which served, has ended with {}", serving_, *exit_code_);
    if (ended_) ended_();
}

void Forwarder::end_unknown() {
    if (exit_code_) return;
    base::log_warning("process {}, which served, has ended; nobody says how", serving_);
    exit_code_ = kUnknownExit;
    if (ended_) ended_();
}

}  // namespace palier::app
