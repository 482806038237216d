#include "config/file.h"

#include "palier/config/units.h"

#include <array>
#include <cerrno>
#include <limits>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::config {
namespace {

std::unexpected<base::Error> reason(int code) {
    return base::failure(std::generic_category().message(code));
}

class Descriptor {
  public:
    Descriptor(const std::string& path, int flags)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags)) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_;
};

base::Result<std::string> read_to_end(int fd, std::size_t max) {
    std::string bytes;
    std::array<char, 64 * 1024> piece;
    while (true) {
        const ssize_t got = ::read(fd, piece.data(), piece.size());
        if (got == 0) return bytes;
        if (got < 0) {
            if (errno == EINTR) continue;
            return reason(errno);
        }
        bytes.append(piece.data(), static_cast<std::size_t>(got));
        if (bytes.size() > max) return base::failure(fmt::format("it is larger than {}", size_to_text(max)));
    }
}

/// What is at `path`, opened as somebody who reads it will.
base::Result<mode_t> type_of(const std::string& path) {
    const Descriptor file(path, O_NONBLOCK);
    if (file.get() < 0) return reason(errno);
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return reason(errno);
    return facts.st_mode;
}

}  // namespace

base::Result<std::string> read_whole(const std::string& path) {
    const Descriptor file(path, 0);
    if (file.get() < 0) return reason(errno);
    return read_to_end(file.get(), std::numeric_limits<std::size_t>::max());
}

base::Result<std::string> read_regular(const std::string& path, std::size_t max) {
    // Opening a pipe would otherwise wait for its writer.
    const Descriptor file(path, O_NONBLOCK);
    if (file.get() < 0) return reason(errno);
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return reason(errno);
    if (!S_ISREG(facts.st_mode)) return base::failure("it is not a regular file");
    return read_to_end(file.get(), max);
}

base::Result<void> check_file(const std::string& path) {
    const auto mode = type_of(path);
    if (!mode) return std::unexpected(mode.error());
    if (S_ISDIR(*mode)) return base::failure("it is a directory, not a file");
    if (!S_ISREG(*mode)) return base::failure("it is not a regular file");
    return {};
}

base::Result<void> check_file_or_directory(const std::string& path) {
    const auto mode = type_of(path);
    if (!mode) return std::unexpected(mode.error());
    if (S_ISDIR(*mode)) {
        // Listing takes the right to read, opening what is listed the right to search.
        if (::access(path.c_str(), R_OK | X_OK) != 0) return reason(errno);
        return {};
    }
    if (!S_ISREG(*mode)) return base::failure("it is neither a regular file nor a directory");
    return {};
}

}  // namespace palier::config
