#include "palier/net/descriptors.h"

#include "palier/base/assert.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <unistd.h>

namespace palier::net {
namespace {

constexpr std::size_t kMostReceived = 253;  // SCM_MAX_FD of the kernel

/// Room for the control message of so many descriptors, aligned as CMSG_FIRSTHDR wants it.
template <std::size_t count>
struct Control {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(count * sizeof(int))> bytes{};
};

IoResult failed() {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStatus::would_block, 0, 0};
    return {IoStatus::failed, 0, errno};
}

void take_from(const cmsghdr& control, std::vector<int>& descriptors) {
    if (control.cmsg_level != SOL_SOCKET || control.cmsg_type != SCM_RIGHTS) return;
    const std::size_t count = (control.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const std::size_t before = descriptors.size();
    descriptors.resize(before + count);
    std::memcpy(descriptors.data() + before, CMSG_DATA(&control), count * sizeof(int));
}

}  // namespace

IoResult send_with_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors) {
    PALIER_ASSERT(!bytes.empty() && descriptors.size() <= kMostDescriptorsAtOnce);
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};  // sendmsg only reads it
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    Control<kMostDescriptorsAtOnce> control;
    if (!descriptors.empty()) {
        message.msg_control = control.bytes.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t sent = 0;
    do {
        sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? failed() : IoResult{IoStatus::ok, static_cast<std::size_t>(sent), 0};
}

IoResult receive_with_descriptors(int socket, std::span<char> room, std::vector<int>& descriptors) {
    iovec piece{room.data(), room.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    Control<kMostReceived> control;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return failed();
    const std::size_t before = descriptors.size();
    for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(header))) {
        take_from(*header, descriptors);
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
        for (std::size_t i = before; i < descriptors.size(); ++i)
            ::close(descriptors[i]);
        descriptors.resize(before);
        return {IoStatus::failed, 0, EMFILE};
    }
    if (got == 0) return {IoStatus::closed, 0, 0};
    return {IoStatus::ok, static_cast<std::size_t>(got), 0};
}

}  // namespace palier::net
