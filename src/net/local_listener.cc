#include "palier/net/local_listener.h"

#include "net/local_path.h"

#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::net {
namespace {

constexpr int kBacklog = 512;
constexpr int kAcceptsPerEvent = 8;
constexpr mode_t kMode = 0660;
constexpr auto kUnchanged = static_cast<std::uint32_t>(-1);  // of lchown

/// What errno says of `what`.
std::unexpected<base::Error> failure_at(const std::string& what) {
    const int error = errno;
    return base::system_failure(what, error);
}

bool exhausted(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/// A stream socket that is not bound, or -1 with errno.
int open_socket(int flags) {
    return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

/// 0, or the errno of what connecting to `path` without waiting says.
int try_to_connect(const std::string& path) {
    const auto address = LocalAddress::of(path);
    if (!address) return ENAMETOOLONG;
    const int descriptor = open_socket(SOCK_NONBLOCK);
    if (descriptor < 0) return errno;
    const int error = ::connect(descriptor, address->get(), address->length()) == 0 ? 0 : errno;
    ::close(descriptor);
    return error;
}

/// Fails where there is something else at `path` than a socket; nothing is fine.
base::Result<void> check_socket(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return {};
        return failure_at(path);
    }
    if (S_ISSOCK(found.st_mode)) return {};
    return base::failure(fmt::format("{} is there and is no socket; it is left as it is", path));
}

/// Removes what a palier that is gone left at `path`.
base::Result<void> clear_way(const std::string& path) {
    if (const auto socket = check_socket(path); !socket) return socket;
    const int error = try_to_connect(path);
    // One whose queue is full (EAGAIN) is somebody's.
    if (error == 0 || error == EAGAIN)
        return base::failure(fmt::format("another palier answers on {}", path));
    if (error == ENOENT) return {};
    if (error != ECONNREFUSED) return base::system_failure(path, error);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure_at(path + ", a stale socket");
    return {};
}

}  // namespace

LocalPeer local_peer(int descriptor) {
    ucred peer{};
    socklen_t length = sizeof peer;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return {.uid = static_cast<std::uint32_t>(-1), .pid = 0};
    return {.uid = peer.uid, .pid = peer.pid};
}

bool local_peer_gone(int descriptor) {
    pollfd state{.fd = descriptor, .events = 0, .revents = 0};
    return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

base::Result<int> connect_local(const std::string& path) {
    const auto address = LocalAddress::of(path);
    if (!address) return base::system_failure(path, ENAMETOOLONG);
    const int descriptor = open_socket(0);
    if (descriptor < 0) return failure_at("socket");
    int error = 0;
    do {
        error = ::connect(descriptor, address->get(), address->length()) == 0 ? 0 : errno;
    } while (error == EINTR);
    if (error == 0) return descriptor;
    ::close(descriptor);
    return base::system_failure(path, error);
}

base::Result<void> LocalListener::listen(const std::string& path, const LocalAccess& access) {
    final_path_.clear();
    return open(path, access);
}

base::Result<void> LocalListener::listen_beside(const std::string& path, const LocalAccess& access) {
    final_path_ = path;
    return open(fmt::format("{}.{}", path, ::getpid()), access);
}

base::Result<void> LocalListener::move_into_place() {
    if (final_path_.empty()) return {};
    const FolderLock lock(path_);
    if (const auto free = check_socket(final_path_); !free) return free;
    if (::rename(path_.c_str(), final_path_.c_str()) != 0) return failure_at(final_path_);
    path_ = std::exchange(final_path_, {});
    return {};
}

base::Result<void> LocalListener::open(const std::string& path, const LocalAccess& access) {
    close();
    if (!LocalAddress::of(path))
        return base::failure(fmt::format("\"{}\" is no path of a socket: it may have 1 to {} bytes", path,
                                         LocalAddress::kLongest));
    if (const auto made = make_folder_of(path); !made) return made;
    // Of two paliers that start at once, one finds the other's socket.
    const FolderLock lock(path);
    if (const auto cleared = clear_way(path); !cleared) return cleared;
    if (const auto bound = bind_file(path, access); !bound) {
        close();
        return bound;
    }
    resume();
    if (accepting_) return {};
    const int error = errno;
    close();
    return base::system_failure(path, error);
}

/// Nobody can connect to a socket that does not listen, so that its file has its owner before anybody may; and until then
/// it is open to fewer, not to more.
base::Result<void> LocalListener::bind_file(const std::string& path, const LocalAccess& access) {
    const auto address = LocalAddress::of(path);
    descriptor_ = open_socket(SOCK_NONBLOCK);
    if (descriptor_ < 0) return failure_at("socket");
    // The file takes its mode from the socket, less the umask.
    if (::fchmod(descriptor_, kMode) != 0 || ::bind(descriptor_, address->get(), address->length()) != 0)
        return failure_at(path);
    path_ = path;
    struct stat made {};
    if (::lstat(path.c_str(), &made) != 0) return failure_at(path);
    file_ = {.device = made.st_dev, .inode = made.st_ino};
    const uid_t owner = access.owner.value_or(kUnchanged);
    const gid_t group = access.group.value_or(kUnchanged);
    if ((owner != kUnchanged || group != kUnchanged) && ::lchown(path.c_str(), owner, group) != 0)
        return failure_at(path + ": its owner");
    if (::chmod(path.c_str(), kMode) != 0 || ::listen(descriptor_, kBacklog) != 0) return failure_at(path);
    return {};
}

void LocalListener::pause() {
    if (!accepting_) return;
    loop_.unwatch(descriptor_);
    accepting_ = false;
}

void LocalListener::resume() {
    if (accepting_ || descriptor_ < 0) return;
    accepting_ = loop_.watch_level(descriptor_, *this);
}

void LocalListener::drain() {
    while (descriptor_ >= 0 && accept_one()) {
    }
    close();
}

void LocalListener::close() {
    if (descriptor_ < 0) return;
    remove_file();
    pause();
    ::close(std::exchange(descriptor_, -1));
    path_.clear();
}

void LocalListener::remove_file() const {
    if (path_.empty()) return;
    const FolderLock lock(path_);
    struct stat found {};
    if (::lstat(path_.c_str(), &found) != 0) return;
    if (found.st_dev == file_.device && found.st_ino == file_.inode) ::unlink(path_.c_str());
}

void LocalListener::on_events(std::uint32_t /*ready*/) {
    for (int i = 0; i < kAcceptsPerEvent && accepting_ && accept_one(); ++i) {
    }
}

/// False when there is nothing more to accept for now.
bool LocalListener::accept_one() {
    const int accepted = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
        acceptor_.on_local_accept(accepted, local_peer(accepted));
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (exhausted(errno)) {
        const int error = errno;
        pause();
        acceptor_.on_accept_exhausted(error);
    }
    return false;
}

}  // namespace palier::net
