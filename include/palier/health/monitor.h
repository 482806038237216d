// Monitor: probes the servers of all pools, once for all workers, and publishes what it finds in their ServerState.
//
// Probes of one server never overlap. Their phases are spread, so that many servers are not probed in one instant
// and servers of several pools at one address take turns; an interval is shortened by up to a tenth at random,
// never lengthened, so that interval * fall + timeout bounds the time to notice a fault. A probe that this machine
// had no means to send (descriptors, ports, memory) says nothing of its server and is tried again.
//
// Servers that operators have disabled are not probed: they are unknown and held down, and judged from the start once
// they are back. Drained ones are probed on. A server that was in use before it had probes is used on until its first
// result.
//
// Thread: control only. Owner: the supervisor. Ends: the destructor, which drops the probes that are under way.
#pragma once

#include "palier/net/loop.h"
#include "palier/pool/pool_snapshot.h"

#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace palier::health {

class Monitor {
  public:
    /// A server that was in use went down: nothing is left to wait for on its idle connections, and `cut_off` says
    /// that its exchanges are to be cut off too (on_down = "close").
    using Down = std::function<void(const std::shared_ptr<pool::ServerState>& server, bool cut_off)>;

    Monitor(net::Loop& loop, Down down);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// Probes the servers of these pools and no others. Those that were there before, with the same settings,
    /// keep their state and rhythm; servers whose pool has no probes (any more) become Health::unprobed.
    void watch(std::span<const std::shared_ptr<const pool::PoolSnapshot>> pools);

    /// What was found of `server` so far counts no longer: it is up again only after `rise` successes from now on.
    /// Nothing where it is not probed.
    void doubt(const pool::ServerState& server);

    /// Every server that may not be used unprobed has had its first result.
    [[nodiscard]] bool settled() const;

    /// Why `server` is in its state, in words; "" before the first result and for one that is not probed.
    [[nodiscard]] std::string_view reason(const pool::ServerState& server) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace palier::health
