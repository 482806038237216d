#include "proxy/log_destination.h"

#include "catch.h"
#include "log_fixture.h"

#include <string>

#include <limits.h>
#include <sys/socket.h>

using palier::proxy::LogDestination;
using namespace palier::test;

namespace {

/// Leads stderr to a descriptor while the object lives.
class StderrTo {
  public:
    explicit StderrTo(int fd) : saved_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
        ::dup2(fd, STDERR_FILENO);
    }
    ~StderrTo() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
    }
    StderrTo(const StderrTo&) = delete;
    StderrTo& operator=(const StderrTo&) = delete;

  private:
    int saved_;
};

/// Writes until there is no room; the bytes that went out.
std::size_t fill(LogDestination& destination, const std::string& line) {
    std::size_t total = 0;
    for (;;) {
        const auto written = destination.write_some(line);
        if (!written || *written == 0) return total;
        total += *written;
    }
}

}  // namespace

TEST_CASE("whole lines go to a pipe, in pieces that nobody else's can cut") {
    const TempFolder folder;
    Fifo fifo(folder / "fifo");
    auto destination = LogDestination::open(fifo.path());
    REQUIRE(destination.has_value());
    CHECK(destination->is_path());
    const std::string line = std::string(999, 'x') + "\n";
    const std::string lines = line + line + line + line + line;
    CHECK(destination->write_some(lines) == 4000U);
    CHECK(destination->write_some(lines.substr(4000)) == 1000U);
    CHECK(fifo.read() == lines);
    CHECK(destination->write_some(std::string(10'000, 'y') + "\n") == std::size_t{PIPE_BUF});
}

TEST_CASE("a full pipe takes nothing, and more when it was read") {
    const TempFolder folder;
    Fifo fifo(folder / "fifo");
    auto destination = LogDestination::open(fifo.path());
    REQUIRE(destination.has_value());
    const std::string line = std::string(999, 'x') + "\n";
    CHECK(fill(*destination, line) >= 16'000);
    destination->wait_writable(1);
    CHECK(destination->write_some(line) == 0U);
    fifo.read();
    CHECK(destination->write_some(line) == 1000U);
}

TEST_CASE("a pipe that cannot be opened again is asked before each write") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    // Without a reader a pipe cannot be opened for writing, which is what an unprivileged process meets with
    // somebody else's.
    ::close(ends[0]);
    const StderrTo redirected(ends[1]);
    auto destination = LogDestination::open("stderr");
    const std::string own_path = "/proc/self/fd/" + std::to_string(ends[1]);
    const int reader = ::open(own_path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(reader >= 0);
    REQUIRE(destination.has_value());
    CHECK_FALSE(destination->is_path());
    CHECK((::fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0);
    const std::string line = std::string(999, 'x') + "\n";
    const std::size_t sent = fill(*destination, line);
    CHECK(sent >= 16'000);
    CHECK(drain(reader).size() == sent);
    CHECK(destination->write_some(line) == 1000U);
    ::close(reader);
    ::close(ends[1]);
}

TEST_CASE("a socket that is full takes nothing") {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const StderrTo redirected(ends[1]);
    auto destination = LogDestination::open("stderr");
    REQUIRE(destination.has_value());
    const std::string line = std::string(999, 'x') + "\n";
    const std::size_t sent = fill(*destination, line);
    CHECK(sent >= 1000);
    CHECK((::fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    CHECK(drain(ends[0]).size() == sent);
    ::close(ends[0]);
    const auto failed = destination->write_some(line);
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error() == EPIPE);
    ::close(ends[1]);
}

TEST_CASE("a regular file takes everything at once") {
    const TempFolder folder;
    auto destination = LogDestination::open(folder / "file");
    REQUIRE(destination.has_value());
    const std::string text(100'000, 'x');
    CHECK(destination->write_some(text) == text.size());
    CHECK(contents_of(folder / "file") == text);
}
