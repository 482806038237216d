#include "palier/net/pipe.h"

#include "palier/base/assert.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace palier::net {
namespace {

constexpr int kCapacity = 1024 * 1024;  // bytes

ssize_t splice_once(int from, int to, std::size_t most) {
    ssize_t moved = 0;
    do {
        moved = ::splice(from, nullptr, to, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (moved < 0 && errno == EINTR);
    return moved;
}

}  // namespace

std::unique_ptr<Pipe> Pipe::open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
    // Refused where the user's pipes hold much already; the default size works too.
    static_cast<void>(::fcntl(ends[1], F_SETPIPE_SZ, kCapacity));
    return std::unique_ptr<Pipe>(new Pipe(ends[0], ends[1]));
}

Pipe::~Pipe() {
    ::close(reading_);
    ::close(writing_);
}

IoResult Pipe::fill(Socket& socket, std::size_t most) {
    PALIER_ASSERT(empty());
    const ssize_t moved = splice_once(socket.descriptor(), writing_, most);
    if (moved > 0) {
        held_ = static_cast<std::size_t>(moved);
        return {IoStatus::ok, held_, 0};
    }
    if (moved == 0) return {IoStatus::closed, 0, 0};
    if (errno != EAGAIN && errno != EWOULDBLOCK) return {IoStatus::failed, 0, errno};
    socket.emptied();
    return {IoStatus::would_block, 0, 0};
}

IoResult Pipe::drain(Socket& socket) {
    std::size_t total = 0;
    while (held_ > 0) {
        const ssize_t moved = splice_once(reading_, socket.descriptor(), held_);
        if (moved > 0) {
            held_ -= static_cast<std::size_t>(moved);
            total += static_cast<std::size_t>(moved);
        } else if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return {IoStatus::would_block, total, 0};
        } else {
            return {IoStatus::failed, total, errno};
        }
    }
    return {IoStatus::ok, total, 0};
}

}  // namespace palier::net
