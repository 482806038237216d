// Pipe: carries bytes from one socket to another without bringing them to user space (splice(2)).
// Thread: that of its sockets' loop. Owner: an exchange, from its worker's spare ones. Ends: the destructor.
#pragma once

#include "palier/net/socket.h"

#include <cstddef>
#include <memory>

namespace palier::net {

class Pipe {
  public:
    /// As large as the system lets an unprivileged process have it, up to 1 MiB; null when there is none to
    /// be had.
    [[nodiscard]] static std::unique_ptr<Pipe> open();
    ~Pipe();
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    [[nodiscard]] bool empty() const { return held_ == 0; }

    /// Moves at most `most` bytes from `socket` into this pipe, which must be empty: that nothing came means
    /// then that the socket has nothing.
    [[nodiscard]] IoResult fill(Socket& socket, std::size_t most);
    /// Moves all it holds to `socket`, or as much as that takes: then the status is would_block.
    [[nodiscard]] IoResult drain(Socket& socket);

  private:
    Pipe(int reading, int writing) : reading_(reading), writing_(writing) {}

    int reading_;
    int writing_;
    std::size_t held_ = 0;  // bytes
};

}  // namespace palier::net
