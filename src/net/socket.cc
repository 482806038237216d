#include "palier/net/socket.h"

#include <cerrno>
#include <utility>

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace palier::net {

Socket::Socket(Socket&& other) noexcept
    : loop_(std::exchange(other.loop_, nullptr)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      readable_(std::exchange(other.readable_, false)),
      hangup_(std::exchange(other.hangup_, false)) {}

bool Socket::adopt(Loop& loop, int descriptor, Watcher& watcher) {
    descriptor_ = descriptor;
    if (loop.watch(descriptor, watcher)) {
        loop_ = &loop;
        return true;
    }
    close();
    return false;
}

base::Result<void> Socket::connect(Loop& loop, const base::SocketAddress& address, Watcher& watcher) {
    sockaddr_storage storage;
    const socklen_t length = address.to_sockaddr(storage);
    descriptor_ = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor_ < 0) return base::system_failure("socket", errno);
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&storage), length) != 0 &&
        errno != EINPROGRESS) {
        const int error = errno;
        close();
        return base::system_failure("connect", error);
    }
    if (!loop.watch(descriptor_, watcher)) {
        const int error = errno;
        close();
        return base::system_failure("epoll_ctl", error);
    }
    loop_ = &loop;
    return {};
}

int Socket::connect_error() const {
    int error = 0;
    socklen_t length = sizeof error;
    if (::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
    return error;
}

IoResult Socket::read(char* data, std::size_t size) {
    ssize_t got = 0;
    do {
        got = ::recv(descriptor_, data, size, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        // A short read found the queue empty; only a FIN may still be behind it, and its event has been
        // noted.
        if (static_cast<std::size_t>(got) < size && !hangup_) readable_ = false;
        return {IoStatus::ok, static_cast<std::size_t>(got), 0};
    }
    if (got == 0) return {IoStatus::closed, 0, 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        readable_ = false;
        return {IoStatus::would_block, 0, 0};
    }
    return {IoStatus::failed, 0, errno};
}

IoResult Socket::write(std::string_view bytes) {
    ssize_t sent = 0;
    do {
        sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return {IoStatus::ok, static_cast<std::size_t>(sent), 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStatus::would_block, 0, 0};
    return {IoStatus::failed, 0, errno};
}

std::uint32_t Socket::unsent() const {
    int bytes = 0;
    if (::ioctl(descriptor_, SIOCOUTQ, &bytes) != 0 || bytes < 0) return 0;
    return static_cast<std::uint32_t>(bytes);
}

bool Socket::quiet() {
    char byte = 0;
    readable_ = ::recv(descriptor_, &byte, 1, MSG_PEEK) >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    return !readable_;
}

void Socket::disconnect() {
    // Connecting to no address at all dissolves a TCP connection (connect(2)): the peer gets a reset, and
    // this side sees what a reset by the peer would have been.
    sockaddr none{};
    none.sa_family = AF_UNSPEC;
    ::connect(descriptor_, &none, sizeof none);
}

void Socket::shutdown_write() {
    ::shutdown(descriptor_, SHUT_WR);
}

void Socket::close() {
    if (descriptor_ < 0) return;
    if (loop_ != nullptr) std::exchange(loop_, nullptr)->forget(descriptor_);
    ::close(descriptor_);
    descriptor_ = -1;
    readable_ = hangup_ = false;
}

void Socket::close_with_reset() {
    if (descriptor_ < 0) return;
    const linger now{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
}

}  // namespace palier::net
