// ControlSocket: the Unix socket on which operators and `palier ctl` give commands, a line each, and get lines of JSON.
//
// Requests of one connection are served one after the other, those of different ones independently. Clients are trusted
// with nothing: whoever sends no whole line in time, sends nothing for long, or does not read what it asked for is cut off,
// and a newcomer beyond the most connections is told so and closed. Descriptors that a client sends are closed.
//
// Thread: control only. Owner: the supervisor. Ends: the destructor, which cuts all clients off without a word to the
// commands that run for them; close() before it tells them. Neither from within a command.
#pragma once

#include "palier/base/result.h"
#include "palier/base/timer_wheel.h"
#include "palier/control/command.h"
#include "palier/net/local_listener.h"
#include "palier/net/loop.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

namespace palier::control {

class ControlConnection;

struct ControlLimits {
    std::size_t connections = 512;
    std::uint64_t line_ms = 10'000;     // from a line's first byte to its end
    std::uint64_t idle_ms = 300'000;    // without a request, while none is served
    std::uint64_t write_ms = 10'000;    // without progress
    std::size_t pending = 1024 * 1024;  // bytes not taken by the client, before one more line
};

class ControlSocket : private net::LocalListener::Acceptor {
  public:
    /// `commands` must outlive it.
    ControlSocket(net::Loop& loop, const CommandTable& commands, const ControlLimits& limits = {});
    virtual ~ControlSocket();
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;

    /// As net::LocalListener has it: at `path`, or beside it until move_into_place().
    [[nodiscard]] base::Result<void> listen(const std::string& path, const net::LocalAccess& access = {});
    [[nodiscard]] base::Result<void> listen_beside(const std::string& path,
                                                   const net::LocalAccess& access = {});
    [[nodiscard]] base::Result<void> move_into_place() { return listener_.move_into_place(); }

    /// Accepts whoever waits, then nobody any more; the file goes if it is still ours. Connections go on.
    void stop_listening() { listener_.drain(); }
    /// Also ends every connection, after one attempt to give it what is left for it. Commands that still run are told that
    /// their clients have gone.
    void close();

    [[nodiscard]] const std::string& path() const { return listener_.path(); }
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  private:
    friend class ControlConnection;
    using Connections = std::list<std::unique_ptr<ControlConnection>>;

    void on_local_accept(int descriptor, const net::LocalPeer& peer) override;
    void on_accept_exhausted(int error) override;
    void resume() { listener_.resume(); }
    void forget(ControlConnection& connection);

    net::Loop& loop_;
    const CommandTable& commands_;
    ControlLimits limits_;
    net::LocalListener listener_;
    base::Timer resume_timer_ = base::Timer::calling<&ControlSocket::resume>(this);
    Connections connections_;
};

}  // namespace palier::control
