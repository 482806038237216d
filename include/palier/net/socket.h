// Socket: a connected TCP socket, non-blocking, read and written directly.
//
// Events are edge-triggered, so the socket remembers that it is readable until a read finds it empty: whoever
// pauses reading simply does not read, and asks readable() when it goes on.
//
// Thread: that of its loop. Owner: a connection. Ends: close() or the destructor.
#pragma once

#include "palier/base/ip.h"
#include "palier/net/loop.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palier::net {

enum class IoStatus : std::uint8_t {
    ok,           // `size` bytes were moved
    would_block,  // nothing was moved; an event will tell
    closed,       // read: the peer finished sending
    failed,       // the connection is broken; `error` is the errno
};

struct IoResult {
    IoStatus status = IoStatus::would_block;
    std::size_t size = 0;
    int error = 0;
};

class Socket {
  public:
    Socket() = default;
    ~Socket() { close(); }
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&&) = delete;

    /// Takes an accepted descriptor and starts watching it. False: it could not be watched and was closed.
    [[nodiscard]] bool adopt(Loop& loop, int descriptor, Watcher& watcher);
    /// Hands the events of a socket that is open to another watcher; what is readable already, readable() says.
    void rewatch(Watcher& watcher) {
        if (loop_ != nullptr) loop_->rewatch(descriptor_, watcher);
    }

    /// Starts a connection to `address`; an event kWritable or kError tells when connect_error() is worth
    /// asking.
    [[nodiscard]] base::Result<void> connect(Loop& loop, const base::SocketAddress& address,
                                             Watcher& watcher);
    /// 0 when the connection is established, else the errno of its failure.
    [[nodiscard]] int connect_error() const;

    /// Records what an event said. The first thing an on_events does.
    void note(std::uint32_t ready) {
        if ((ready & kReadable) != 0) readable_ = true;
        if ((ready & kHangup) != 0) hangup_ = true;
    }

    [[nodiscard]] bool open() const { return descriptor_ >= 0; }
    [[nodiscard]] bool readable() const { return readable_; }
    [[nodiscard]] int descriptor() const { return descriptor_; }

    /// One recv of at most `size` bytes, `size` > 0.
    [[nodiscard]] IoResult read(char* data, std::size_t size);
    /// One send; `size` of the result may be less than asked for.
    [[nodiscard]] IoResult write(std::string_view bytes);

    /// Bytes written that the peer's kernel has not acknowledged yet. One system call.
    [[nodiscard]] std::uint32_t unsent() const;

    /// Open, and with nothing to read. One system call.
    [[nodiscard]] bool quiet();
    /// A read that went another way found nothing left.
    void emptied() { readable_ = false; }

    /// Resets the connection without giving the socket up: reads and writes fail from now on, and an event
    /// tells the watcher.
    void disconnect();
    void shutdown_write();
    void close();
    /// Closes with a reset, so that the peer learns that what it got is not whole.
    void close_with_reset();

  private:
    Loop* loop_ = nullptr;  // that watches it
    int descriptor_ = -1;
    bool readable_ = false;
    bool hangup_ = false;
};

}  // namespace palier::net
