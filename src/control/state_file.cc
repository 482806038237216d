#include "control/state_file.h"

#include "control/stamp.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::control {
namespace {

constexpr mode_t kMode = 0640;

std::string reason() {
    return std::generic_category().message(errno);
}

class Descriptor {
  public:
    explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
    ~Descriptor() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const { return descriptor_; }

  private:
    int descriptor_;
};

bool write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

/// Some file systems cannot sync a folder, and say so.
bool sync_folder(const std::string& path) {
    const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return folder.get() >= 0 && (::fsync(folder.get()) == 0 || errno == EINVAL);
}

std::string temporary_prefix(const std::string& path) {
    return path + ".new-";
}

/// A process of this number is there.
bool runs(std::string_view number) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), pid);
    if (error != std::errc{} || end != number.data() + number.size() || pid <= 0)
        return true;  // not our name
    return ::kill(pid, 0) == 0 || errno != ESRCH;
}

}  // namespace

std::string StateFile::folder() const {
    const std::string parent = std::filesystem::path(path_).parent_path();
    return parent.empty() ? "." : parent;
}

base::Result<std::optional<std::string>> StateFile::read(std::size_t most) const {
    // Opening a pipe would otherwise wait for its writer.
    const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.get() < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
    struct stat facts {};
    if (file.get() < 0 || ::fstat(file.get(), &facts) != 0) return base::failure(reason());
    if (!S_ISREG(facts.st_mode)) return base::failure("it is not a regular file");
    std::string text;
    std::array<char, 64 * 1024> piece;
    while (true) {
        const ssize_t got = ::read(file.get(), piece.data(), piece.size());
        if (got == 0) return text;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::failure(reason());
        text.append(piece.data(), static_cast<std::size_t>(got));
        if (text.size() > most) return base::failure(fmt::format("it is longer than {} bytes", most));
    }
}

std::string StateFile::obstacle() const {
    const std::string place = folder();
    struct stat facts {};
    if (::stat(place.c_str(), &facts) == 0) {
        if (!S_ISDIR(facts.st_mode)) {
            errno = ENOTDIR;
        } else if (::access(place.c_str(), W_OK | X_OK) == 0) {
            return "";
        }
    }
    return fmt::format("{}: {}", place, reason());
}

std::string StateFile::write(std::string_view text) const {
    const std::string temporary = temporary_prefix(path_) + std::to_string(::getpid());
    ::unlink(temporary.c_str());  // of an earlier process of this number
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kMode));
    if (file.get() < 0) return fmt::format("{}: {}", temporary, reason());
    if (!write_all(file.get(), text) || ::fsync(file.get()) != 0 ||
        ::rename(temporary.c_str(), path_.c_str()) != 0) {
        std::string why = fmt::format("{}: {}", path_, reason());
        ::unlink(temporary.c_str());
        return why;
    }
    return sync_folder(folder()) ? "" : fmt::format("{}: {}", folder(), reason());
}

base::Result<std::string> StateFile::set_aside() const {
    std::string time = time_text(wall_ms());
    std::erase_if(time, [](char c) { return c == ':' || c == '.'; });  // which some file systems do not like
    const std::string name = fmt::format("{}.broken-{}", path_, time);
    if (::rename(path_.c_str(), name.c_str()) != 0) return base::failure(reason());
    return name;
}

void StateFile::tidy() const {
    const std::string prefix = temporary_prefix(std::filesystem::path(path_).filename());
    std::error_code error;
    std::filesystem::directory_iterator entries(folder(), error);
    for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
        const std::string name = entries->path().filename();
        if (name.starts_with(prefix) && !runs(std::string_view(name).substr(prefix.size())))
            ::unlink(entries->path().c_str());
    }
}

}  // namespace palier::control
