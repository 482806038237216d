#include "tls/file_bytes.h"

#include "tls/openssl.h"

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <system_error>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::tls {
namespace {

constexpr std::size_t kLongestFile = 1024 * 1024;
constexpr std::int64_t kRecentNs = 100'000'000;  // generous: file systems count in ticks of the kernel

std::uint64_t mix(std::uint64_t state, std::uint64_t value) {
    state = (state ^ value) * 0x9e3779b97f4a7c15ULL;
    return state ^ (state >> 29);
}

std::string text_of(int error) {
    return std::system_category().message(error);
}

class Descriptor {
  public:
    // Not to wait for a writer, should it be a pipe.
    explicit Descriptor(const std::string& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_;
};

}  // namespace

void FileMark::join(const FileMark& other) {
    mark = mix(mark, other.mark);
    recent = recent || other.recent;
}

FileMark mark_of(const struct stat& file) {
    std::uint64_t mark = mix(file.st_dev, file.st_ino);
    mark = mix(mark, static_cast<std::uint64_t>(file.st_size));
    mark = mix(mark, static_cast<std::uint64_t>(file.st_ctim.tv_sec));
    mark = mix(mark, static_cast<std::uint64_t>(file.st_ctim.tv_nsec));
    std::timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const std::int64_t age =
        (now.tv_sec - file.st_ctim.tv_sec) * 1'000'000'000 + (now.tv_nsec - file.st_ctim.tv_nsec);
    return {mark | 1, std::abs(age) < kRecentNs};
}

FileMark mark_of(const std::string& path) {
    struct stat file {};
    return ::stat(path.c_str(), &file) == 0 ? mark_of(file) : FileMark{};
}

std::uint64_t mark_to_keep(const std::string& path) {
    const FileMark mark = mark_of(path);
    return mark.recent ? 0 : mark.mark;
}

bool still_is(const std::string& path, std::uint64_t mark) {
    return mark != 0 && mark_of(path).mark == mark;
}

std::expected<FileBytes, std::string> FileBytes::read(const std::string& path) {
    const Descriptor file(path);
    struct stat about {};
    if (file.get() < 0 || ::fstat(file.get(), &about) != 0) return std::unexpected(text_of(errno));
    if (!S_ISREG(about.st_mode)) return std::unexpected("it is not a regular file");
    if (about.st_size > static_cast<off_t>(kLongestFile)) return std::unexpected("it is longer than 1 MiB");
    FileBytes result;
    // One byte more, so that one read tells the end.
    result.bytes_.resize(static_cast<std::size_t>(about.st_size) + 1);
    std::size_t size = 0;
    while (size < result.bytes_.size()) {
        const ssize_t got = ::read(file.get(), result.bytes_.data() + size, result.bytes_.size() - size);
        if (got < 0) return std::unexpected(text_of(errno));
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    result.bytes_.resize(size);
    return result;
}

void FileBytes::wipe() {
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
    bytes_.clear();
}

}  // namespace palier::tls
