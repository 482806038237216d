// Gates: the listening sockets of one worker: whom it lets in, and through which listener clients came.
//
// A reload brings another list: sockets that stay are not touched, new ones open, those that are missing accept what
// waits in them and close. A listener whose facts have changed tells new connections the new ones; those that are open
// keep theirs, but for the listener's place in the configuration.
//
// Thread: worker only. Owner: the Worker. Ends: drain() or close().
#pragma once

#include "palier/base/timer_wheel.h"
#include "palier/net/listener.h"
#include "palier/net/loop.h"
#include "palier/proxy/listener_facts.h"
#include "palier/proxy/worker_core.h"

#include <cstddef>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

namespace palier::app {

/// A bound socket and what its connections must know.
struct WorkerListener {
    int descriptor = -1;
    proxy::ListenerFacts facts;
};

class Gates {
  public:
    /// `max_connections`: clients of this worker at a time.
    Gates(net::Loop& loop, proxy::WorkerCore& core, unsigned worker, std::size_t max_connections);
    ~Gates();
    Gates(const Gates&) = delete;
    Gates& operator=(const Gates&) = delete;

    /// From now on these are the sockets, and they are the gates' to close. True: connections are left whose listener
    /// is not among them; they are told to go. Once all are closed for good, new ones are just closed.
    bool take(std::vector<WorkerListener> listeners);
    void set_max_connections(std::size_t most);

    /// Accepts all that wait and closes, for good.
    void drain();
    /// Closes for good and leaves what waits to another process that has the sockets too.
    void close();

    /// How many connections came through each socket that is open.
    [[nodiscard]] std::map<int, std::size_t> connections() const;

  private:
    class Gate;

    void let_go(std::unique_ptr<Gate> gate);
    void close_for_good();
    [[nodiscard]] bool full() const { return core_.connection_count >= max_connections_; }
    void pause(std::string_view why);
    void resume();

    net::Loop& loop_;
    proxy::WorkerCore& core_;
    unsigned worker_;
    std::size_t max_connections_;
    std::vector<std::unique_ptr<Gate>> gates_;
    std::vector<std::weak_ptr<proxy::ListenerFacts>> departed_;  // of connections whose socket is closed
    bool closed_ = false;
    bool paused_ = false;  // for want of descriptors, or at max_connections
    bool pause_logged_ = false;
    base::Timer resume_timer_;
};

}  // namespace palier::app
