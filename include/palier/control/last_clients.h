// LastClients and Predecessors: what operators decide after an upgrade binds the paliers before too, for as long as they
// have clients and tunnels.
//
//     the one that serves: Predecessors          each one before: LastClients
//     decisions N, the whole overlay         →   puts them in force on all of its workers
//                                            ←   loads
//                                            ←   done N
//     close N, the connections to a server   →   closes them
//                                            ←   done N
//                                            ←   loads, whenever they have changed
//
// over the channel of the take-over, which the next palier gets too. The one that serves counts these loads among its own
// servers', so that who waits for a drained server waits for all processes. When it dies, what it told last goes on to
// hold.
//
// Thread: control only. Owner: the supervisor. Ends: the destructor; a LastClients also with the other process.
#pragma once

#include "palier/base/timer_wheel.h"
#include "palier/control/engine.h"
#include "palier/control/overlay.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace palier::control {

/// The old one's part.
class LastClients final : private net::Watcher {
  public:
    /// `channel` is its to close. `overlay` is nobody's to change any more but by what is heard here.
    LastClients(net::Loop& loop, int channel, Engine& engine, Overlay& overlay);
    ~LastClients();
    LastClients(const LastClients&) = delete;
    LastClients& operator=(const LastClients&) = delete;

  private:
    void on_events(std::uint32_t ready) override;
    void decide(const std::string& decisions, std::uint64_t number);
    void close_connections(const std::string& what, std::uint64_t number);
    void tell_done(std::uint64_t number);
    void tell_loads();
    void on_look_timer();
    void leave();

    net::Loop& loop_;
    int channel_;
    Engine& engine_;
    Overlay& overlay_;
    std::string told_;  // loads
    base::Timer look_timer_ = base::Timer::calling<&LastClients::on_look_timer>(this);
    std::shared_ptr<LastClients*> self_;  // null inside once this is destroyed: workers answer later
};

/// The new one's part.
class Predecessors {
  public:
    using Done = std::function<void()>;

    Predecessors(net::Loop& loop, Engine& engine);
    /// Whatever waits is done.
    ~Predecessors();
    Predecessors(const Predecessors&) = delete;
    Predecessors& operator=(const Predecessors&) = delete;

    /// One more, which `channel` leads to; that is closed here. It knows of no decision until the next decide().
    void add(int channel);
    /// The channels to all that are left, for the palier that comes next.
    [[nodiscard]] std::vector<int> channels() const;
    /// They are the next palier's from now on.
    void leave();

    /// `overlay` as Overlay::exported() has it. `done` when each of them works under it, has ended, or did not answer
    /// within some seconds, which is logged; one that knows it already is not told.
    void decide(const std::string& overlay, Done done);
    /// As Engine::close_connections(); `server` is a ServerState::name.
    void close_connections(const std::string& server, bool tunnels, Done done);

  private:
    class Predecessor;

    [[nodiscard]] std::vector<Predecessor*> left();

    net::Loop& loop_;
    Engine& engine_;
    std::vector<std::unique_ptr<Predecessor>> all_;
};

}  // namespace palier::control
