// Gates: the listening sockets of one worker: whom it lets in, and through which listener clients came.
//
// A reload brings another list: sockets that stay are not touched, new ones open, those that are missing accept what
// waits in them and close. A listener whose facts have changed tells new connections the new ones; those that are open
// keep theirs, but for the listener's place in the configuration.
//
// A descriptor is the gates' to close from the list on in which it is `fresh`, and they close it once. Where a later
// list names one that they have closed, its number may be somebody else's by then.
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
    bool fresh = false;  // given with this list
    proxy::ListenerFacts facts;
};

class Gates {
  public:
    /// `max_connections`: clients of this worker at a time.
    Gates(net::Loop& loop, proxy::WorkerCore& core, unsigned worker, std::size_t max_connections);
    ~Gates();
    Gates(const Gates&) = delete;
    Gates& operator=(const Gates&) = delete;

    /// From now on these are the sockets; clients of those that are not among them are told to go. True: connections
    /// are left whose socket is closed. Once all are closed for good, fresh ones are just closed.
    bool take(std::vector<WorkerListener> listeners);
    /// Connections whose socket is closed follow their listener to its place in `config`; if it has none they are told
    /// to go. To be called for each new configuration, after take() where there is another list.
    void follow(const config::Config& config);
    void set_max_connections(std::size_t most);
    /// Accepts nobody for a while, and then as long as it is full() or short of memory.
    void pause(std::string_view why);

    /// Accepts all that wait and closes, until the next list. Their connections stay as they are.
    void shut();
    /// The same, for good.
    void drain();
    /// Closes for good and leaves what waits to another process that has the sockets too.
    void close();

    /// How many connections came through each socket that is open.
    [[nodiscard]] std::map<int, std::size_t> connections() const;

  private:
    class Gate;

    void let_go(std::unique_ptr<Gate> gate);
    void end();
    [[nodiscard]] bool full() const {
        return core_.short_of_memory || core_.connection_count >= max_connections_;
    }
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
