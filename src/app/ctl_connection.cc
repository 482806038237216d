#include "app/ctl_connection.h"

#include "palier/net/local_listener.h"

#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::app {
namespace {

std::string user_name(uid_t id) {
    const passwd* const known = ::getpwuid(id);
    return known != nullptr ? known->pw_name : std::to_string(id);
}

std::string group_name(gid_t id) {
    const group* const known = ::getgrgid(id);
    return known != nullptr ? known->gr_name : std::to_string(id);
}

std::string why_not(const std::string& path, const base::Error& error) {
    struct stat found {};
    const bool there = ::stat(path.c_str(), &found) == 0;
    if (there && !S_ISSOCK(found.st_mode)) return fmt::format("{} is no socket", path);
    switch (error.code) {
        case ENOENT:
            return fmt::format("there is no {}: does palier run on this machine, with this control_socket?",
                               path);
        case ECONNREFUSED:
            return fmt::format("nobody answers on {}: the palier that it belonged to has ended", path);
        case EACCES:
            if (!there) return fmt::format("{}: you may not enter its folder", path);
            return fmt::format(
                "you may not use {}: it is for user {} and group {} (control_owner, control_group)", path,
                user_name(found.st_uid), group_name(found.st_gid));
        default:
            return error.message;
    }
}

}  // namespace

base::Result<CtlConnection> CtlConnection::open(const std::string& path) {
    const auto descriptor = net::connect_local(path);
    if (!descriptor) return base::failure(why_not(path, descriptor.error()));
    return CtlConnection(*descriptor);
}

CtlConnection::CtlConnection(CtlConnection&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      received_(std::move(other.received_)),
      searched_(other.searched_) {}

CtlConnection::~CtlConnection() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void CtlConnection::send(std::string_view line) {
    std::string bytes(line);
    bytes += '\n';
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const ssize_t sent = ::send(descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return;
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::optional<std::string> CtlConnection::receive() {
    std::array<char, 65536> room;
    while (true) {
        if (const std::size_t end = received_.find('\n', searched_); end != std::string::npos) {
            std::string line = received_.substr(0, end);
            received_.erase(0, end + 1);
            searched_ = 0;
            return line;
        }
        searched_ = received_.size();
        const ssize_t got = ::recv(descriptor_, room.data(), room.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return std::nullopt;
        received_.append(room.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace palier::app
