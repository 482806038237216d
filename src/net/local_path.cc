#include "net/local_path.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace palier::net {
namespace {

constexpr int kLockAttempts = 25;
constexpr timespec kBetweenAttempts{.tv_sec = 0, .tv_nsec = 10'000'000};
constexpr mode_t kFolderMode = 0755;

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::optional<LocalAddress> LocalAddress::of(std::string_view path) {
    if (path.empty() || path.size() > kLongest) return std::nullopt;
    LocalAddress address;
    address.name_.sun_family = AF_UNIX;
    std::memcpy(address.name_.sun_path, path.data(), path.size());
    return address;
}

base::Result<void> make_folder_of(const std::string& path) {
    const std::string folder = folder_of(path);
    // A second time, whatever the umask.
    if (::mkdir(folder.c_str(), kFolderMode) == 0 && ::chmod(folder.c_str(), kFolderMode) == 0) return {};
    const int error = errno;
    if (error == EEXIST) return {};
    return base::system_failure(folder, error);
}

FolderLock::FolderLock(const std::string& path)
    : descriptor_(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor_ < 0) return;
    for (int i = 0; i < kLockAttempts && ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0; ++i)
        ::nanosleep(&kBetweenAttempts, nullptr);
}

FolderLock::~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace palier::net
