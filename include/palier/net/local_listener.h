// LocalListener: a listening Unix stream socket and its file.
//
// The file is never open to more than it is meant for, a stale one is replaced only where nobody answers on it, and at
// the end it is removed only if it is still this socket's: another process may have moved its own over it.
//
// Thread: that of its loop, but for the free functions. Owner: whoever serves the socket. Ends: close() or the destructor.
#pragma once

#include "palier/base/result.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

namespace palier::net {

/// Who is at the other end, as the kernel says (SO_PEERCRED).
struct LocalPeer {
    std::uint32_t uid = 0;
    std::int32_t pid = 0;
};
[[nodiscard]] LocalPeer local_peer(int descriptor);

/// Whether the peer of a Unix socket has closed it, and not only said that it sends no more.
[[nodiscard]] bool local_peer_gone(int descriptor);

/// Connects, blocking; `code` of the error is the errno. Thread: any.
[[nodiscard]] base::Result<int> connect_local(const std::string& path);

/// Whom a socket's file belongs to, beside the mode 0660.
struct LocalAccess {
    std::optional<std::uint32_t> owner;  // a user's number; none: as the process
    std::optional<std::uint32_t> group;
};

class LocalListener : private Watcher {
  public:
    /// Receives each accepted connection, non-blocking.
    class Acceptor {
      public:
        virtual void on_local_accept(int descriptor, const LocalPeer& peer) = 0;
        /// Accepting failed for want of descriptors or memory; the listener paused itself.
        virtual void on_accept_exhausted(int error) = 0;

      protected:
        ~Acceptor() = default;
    };

    LocalListener(Loop& loop, Acceptor& acceptor) : loop_(loop), acceptor_(acceptor) {}
    virtual ~LocalListener() { close(); }
    LocalListener(const LocalListener&) = delete;
    LocalListener& operator=(const LocalListener&) = delete;

    /// Makes the socket at `path` and listens. The folder is made (0755) if it is missing, not those above it. Fails with
    /// a sentence where somebody answers at `path` already, or where there is something else than a socket.
    [[nodiscard]] base::Result<void> listen(const std::string& path, const LocalAccess& access);
    /// The same at a temporary name beside `path`, whoever answers there; move_into_place() then puts the socket there,
    /// in place of another process's.
    [[nodiscard]] base::Result<void> listen_beside(const std::string& path, const LocalAccess& access);
    [[nodiscard]] base::Result<void> move_into_place();

    [[nodiscard]] bool listening() const { return descriptor_ >= 0; }
    /// Where clients find it at present.
    [[nodiscard]] const std::string& path() const { return path_; }

    void resume();
    /// Accepts all that wait, then closes.
    void drain();
    void close();

  private:
    struct File {
        dev_t device = 0;
        ino_t inode = 0;
    };

    [[nodiscard]] base::Result<void> open(const std::string& path, const LocalAccess& access);
    [[nodiscard]] base::Result<void> bind_file(const std::string& path, const LocalAccess& access);
    [[nodiscard]] bool accept_one();
    void pause();
    void remove_file() const;
    void on_events(std::uint32_t ready) override;

    Loop& loop_;
    Acceptor& acceptor_;
    int descriptor_ = -1;
    bool accepting_ = false;
    std::string path_;
    std::string final_path_;  // where move_into_place() goes; "" when it is there
    File file_;
};

}  // namespace palier::net
