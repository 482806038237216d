#include "palier/control/control_socket.h"

#include "control/control_connection.h"
#include "palier/base/log.h"

#include <cstring>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kResumeMs = 250;  // between two attempts to accept again

base::Result<void> with_key(base::Result<void> result) {
    if (!result) result.error().message = "control_socket: " + result.error().message;
    return result;
}

}  // namespace

ControlSocket::ControlSocket(net::Loop& loop, const CommandTable& commands, const ControlLimits& limits)
    : loop_(loop), commands_(commands), limits_(limits), listener_(loop, *this) {}

ControlSocket::~ControlSocket() = default;

base::Result<void> ControlSocket::listen(const std::string& path, const net::LocalAccess& access) {
    return with_key(listener_.listen(path, access));
}

base::Result<void> ControlSocket::listen_beside(const std::string& path, const net::LocalAccess& access) {
    return with_key(listener_.listen_beside(path, access));
}

void ControlSocket::close() {
    listener_.close();
    base::TimerWheel::disarm(resume_timer_);
    while (!connections_.empty())
        forget(*connections_.front());
}

void ControlSocket::on_local_accept(int descriptor, const net::LocalPeer& peer) {
    if (connections_.size() >= limits_.connections) {
        const std::string answer =
            fmt::format("{{\"done\":true,\"error\":\"there are {} clients already\",\"ok\":false}}\n",
                        connections_.size());
        static_cast<void>(::send(descriptor, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
        ::close(descriptor);
        return;
    }
    const auto place = connections_.insert(
        connections_.end(),
        std::make_unique<ControlConnection>(*this, Peer{.uid = peer.uid, .pid = peer.pid}));
    if (!(*place)->start(descriptor, place)) connections_.erase(place);
}

void ControlSocket::on_accept_exhausted(int error) {
    base::log_warning("control: accepting is paused: {}", std::strerror(error));
    loop_.timers().arm(resume_timer_, loop_.now_ms() + kResumeMs);
}

/// Its command is told last: it may ask for anything.
void ControlSocket::forget(ControlConnection& connection) {
    const auto place = connection.place();
    loop_.defer_delete(std::move(*place));
    connections_.erase(place);
    connection.close();
}

}  // namespace palier::control
