// Listener: a listening TCP socket with SO_REUSEPORT, one for each worker and address.
// Thread: that of its loop, but for open(). Owner: a worker. Ends: close() or the destructor.
#pragma once

#include "palier/base/ip.h"
#include "palier/net/loop.h"

#include <cstdint>

namespace palier::net {

/// Binds and listens; port 0 takes a free one, which bound_address() tells. `reuse_port`: let other sockets
/// of this process share the port. Thread: any. Returns the descriptor.
[[nodiscard]] base::Result<int> listen_on(const base::SocketAddress& address, bool reuse_port);
/// The first half of it: bound, but nobody comes to it before start_listening(). Thread: any.
[[nodiscard]] base::Result<int> bind_to(const base::SocketAddress& address, bool reuse_port);
[[nodiscard]] base::Result<void> start_listening(int descriptor);
/// Fails where another socket listens on `address` already, whatever it would share. Thread: any.
[[nodiscard]] base::Result<void> check_free(const base::SocketAddress& address);
/// The address that `descriptor` is bound to.
[[nodiscard]] base::SocketAddress bound_address(int descriptor);

class Listener : private Watcher {
  public:
    /// Receives each accepted connection, non-blocking, with TCP_NODELAY on.
    class Acceptor {
      public:
        virtual void on_accept(int descriptor, const base::SocketAddress& peer) = 0;
        /// Accepting failed for want of descriptors or memory; the listener paused itself.
        virtual void on_accept_exhausted(int error) = 0;

      protected:
        ~Acceptor() = default;
    };

    /// Takes a descriptor from listen_on().
    Listener(Loop& loop, int descriptor, Acceptor& acceptor);
    virtual ~Listener() { close(); }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// Accepts all that wait and closes, so that no connection which the kernel took is refused.
    void drain();
    void pause();
    void resume();
    void close();

  private:
    void on_events(std::uint32_t ready) override;
    [[nodiscard]] bool accept_one();

    Loop& loop_;
    int descriptor_;
    Acceptor& acceptor_;
    bool accepting_ = false;
};

}  // namespace palier::net
