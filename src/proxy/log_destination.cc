#include "log_destination.h"

#include <cerrno>

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::proxy {
namespace {

constexpr int kOpenFlags = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr std::string_view kStdout = "stdout";
constexpr std::string_view kStderr = "stderr";

/// The lines at the start of `bytes` that one atomic write to a pipe can take.
std::string_view whole_lines(std::string_view bytes) {
    if (bytes.size() <= PIPE_BUF) return bytes;
    const std::size_t newline = bytes.rfind('\n', PIPE_BUF - 1);
    return bytes.substr(0, newline == std::string_view::npos ? PIPE_BUF : newline + 1);
}

}  // namespace

base::Result<LogDestination> LogDestination::open(const std::string& name) {
    if (name == kStdout) return share(name, STDOUT_FILENO);
    if (name == kStderr) return share(name, STDERR_FILENO);
    const int fd = ::open(name.c_str(), kOpenFlags | O_APPEND | O_CREAT, 0640);
    if (fd < 0) return base::system_failure("cannot open " + name, errno);
    LogDestination destination(name, fd, true);
    if (auto known = destination.find_kind(); !known) return std::unexpected(known.error());
    return destination;
}

/// O_NONBLOCK belongs to the open file, which other processes may hold too: setting it on stdout would break
/// them. A pipe or terminal can be opened once more through /proc, with flags of our own. Where that is
/// refused, we ask poll() first and write no more than the PIPE_BUF bytes that it vouches for.
base::Result<LogDestination> LogDestination::share(const std::string& name, int fd) {
    LogDestination shared(name, fd, false);
    if (auto known = shared.find_kind(); !known) return std::unexpected(known.error());
    if (shared.kind_ != Kind::stream) return shared;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int own = ::open(path.c_str(), kOpenFlags);
    if (own < 0) {
        shared.may_block_ = true;
        return shared;
    }
    LogDestination opened(name, own, true);
    opened.kind_ = Kind::stream;
    return opened;
}

base::Result<void> LogDestination::find_kind() {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) return base::system_failure("cannot use " + name_, errno);
    if (S_ISREG(status.st_mode)) {
        kind_ = Kind::file;
    } else if (S_ISSOCK(status.st_mode)) {
        kind_ = Kind::socket;
    } else {
        kind_ = Kind::stream;
    }
    return {};
}

LogDestination::~LogDestination() {
    if (owned_) ::close(fd_);
}

LogDestination::LogDestination(LogDestination&& other) noexcept {
    swap(other);
}

LogDestination& LogDestination::operator=(LogDestination&& other) noexcept {
    swap(other);
    return *this;
}

void LogDestination::swap(LogDestination& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(fd_, other.fd_);
    std::swap(owned_, other.owned_);
    std::swap(kind_, other.kind_);
    std::swap(may_block_, other.may_block_);
}

bool LogDestination::is_path() const {
    return name_ != kStdout && name_ != kStderr;
}

std::expected<std::size_t, int> LogDestination::write_some(std::string_view bytes) {
    if (kind_ == Kind::stream) bytes = whole_lines(bytes);
    for (;;) {
        if (may_block_ && !writable(0)) return 0;
        const ssize_t written = kind_ == Kind::socket
                                    ? ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                    : ::write(fd_, bytes.data(), bytes.size());
        if (written >= 0) return static_cast<std::size_t>(written);
        if (errno == EAGAIN) return 0;
        if (errno != EINTR) return std::unexpected(errno);
    }
}

void LogDestination::wait_writable(int timeout_ms) const {
    static_cast<void>(writable(timeout_ms));
}

bool LogDestination::writable(int timeout_ms) const {
    pollfd wanted{fd_, POLLOUT, 0};
    return ::poll(&wanted, 1, timeout_ms) > 0;
}

}  // namespace palier::proxy
