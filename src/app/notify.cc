#include "app/notify.h"

#include "palier/base/log.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};  // with a manager that does not read

struct Address {
    sockaddr_un name{};
    socklen_t length = 0;
};

std::optional<Address> address_of(std::string_view socket) {
    Address address;
    if (socket.size() < 2 || (socket.front() != '/' && socket.front() != '@')) return std::nullopt;
    if (socket.size() >= sizeof address.name.sun_path) return std::nullopt;
    address.name.sun_family = AF_UNIX;
    std::memcpy(address.name.sun_path, socket.data(), socket.size());
    const bool abstract = socket.front() == '@';
    if (abstract) address.name.sun_path[0] = '\0';
    // A path ends with its NUL; an abstract name is all of the bytes that are counted.
    address.length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() + (abstract ? 0 : 1));
    return address;
}

/// 0, or the errno.
int send_datagram(const Address& address, std::string_view text) {
    const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return errno;
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    const ssize_t sent = ::sendto(descriptor, text.data(), text.size(), MSG_NOSIGNAL,
                                  reinterpret_cast<const sockaddr*>(&address.name), address.length);
    const int error = sent < 0 ? errno : 0;
    ::close(descriptor);
    return error;
}

}  // namespace

Notifier::Notifier(const char* socket) : socket_(socket != nullptr ? socket : "") {
    if (socket_.empty() || address_of(socket_)) return;
    base::log_warning("NOTIFY_SOCKET names no socket, the service manager is told nothing: {}", socket_);
    socket_.clear();
}

void Notifier::send(std::string_view state, std::string_view status) const {
    send_lines(fmt::format("{}\nSTATUS={}\n", state, status), state);
}

void Notifier::main_pid(int pid) const {
    send_lines(fmt::format("MAINPID={}\n", pid), "the process that serves");
}

void Notifier::send_lines(std::string_view lines, std::string_view what) const {
    const auto address = address_of(socket_);
    if (!address) return;
    const int error = send_datagram(*address, lines);
    if (error != 0) base::log_warning("{} not told to {}: {}", what, socket_, std::strerror(error));
}

}  // namespace palier::app
