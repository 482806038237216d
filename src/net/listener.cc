#include "palier/net/listener.h"

#include <cerrno>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace palier::net {
namespace {

constexpr int kBacklog = 4096;       // the kernel lowers it to net.core.somaxconn
constexpr int kAcceptsPerEvent = 8;  // leaves the loop to the connections that are open already

bool exhausted(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

base::Result<int> bind_to(const base::SocketAddress& address, bool reuse_port) {
    sockaddr_storage storage;
    const socklen_t length = address.to_sockaddr(storage);
    const int descriptor = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const std::string what = "listen on " + address.to_string();
    if (descriptor < 0) return base::system_failure(what, errno);
    const int on = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // Accepted sockets inherit it, which saves a system call for each.
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (storage.ss_family == AF_INET6) {
        ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
        const int error = errno;
        ::close(descriptor);
        return base::system_failure(what, error);
    }
    return descriptor;
}

base::Result<void> start_listening(int descriptor) {
    if (::listen(descriptor, kBacklog) == 0) return {};
    const int error = errno;
    return base::system_failure("listen on " + bound_address(descriptor).to_string(), error);
}

base::Result<int> listen_on(const base::SocketAddress& address, bool reuse_port) {
    auto descriptor = bind_to(address, reuse_port);
    if (!descriptor) return descriptor;
    const auto listening = start_listening(*descriptor);
    if (listening) return descriptor;
    ::close(*descriptor);
    return std::unexpected(listening.error());
}

base::Result<void> check_free(const base::SocketAddress& address) {
    const auto descriptor = bind_to(address, false);
    if (!descriptor) return std::unexpected(descriptor.error());
    ::close(*descriptor);
    return {};
}

base::SocketAddress bound_address(int descriptor) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &length);
    return base::SocketAddress(storage);
}

Listener::Listener(Loop& loop, int descriptor, Acceptor& acceptor)
    : loop_(loop), descriptor_(descriptor), acceptor_(acceptor) {
    resume();
}

void Listener::pause() {
    if (!accepting_) return;
    loop_.unwatch(descriptor_);
    accepting_ = false;
}

void Listener::resume() {
    if (accepting_ || descriptor_ < 0) return;
    accepting_ = loop_.watch_level(descriptor_, *this);
}

void Listener::drain() {
    while (descriptor_ >= 0 && accept_one()) {
    }
    close();
}

void Listener::close() {
    if (descriptor_ < 0) return;
    // Another process may hold the socket too: then closing it here would not end the events.
    pause();
    ::close(descriptor_);
    descriptor_ = -1;
}

void Listener::on_events(std::uint32_t /*ready*/) {
    for (int i = 0; i < kAcceptsPerEvent && accepting_ && accept_one(); ++i) {
    }
}

/// False when there is nothing more to accept for now.
bool Listener::accept_one() {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    const int accepted =
        ::accept4(descriptor_, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
        acceptor_.on_accept(accepted, base::SocketAddress(peer));
        return true;
    }
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) return true;
    if (exhausted(errno)) {
        const int error = errno;
        pause();
        acceptor_.on_accept_exhausted(error);
    }
    return false;
}

}  // namespace palier::net
