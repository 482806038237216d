// Readiness: whether palier may be sent traffic, and if not, why. What a balancer in front of several paliers asks.
// Thread: control only. Owner: the supervisor.
#pragma once

#include "palier/control/snapshot_builder.h"

#include <cstdint>
#include <string>
#include <vector>

namespace palier::control {

class Readiness {
  public:
    /// Looks at the builder's current snapshot.
    explicit Readiness(const SnapshotBuilder& builder) : builder_(builder) {}

    /// The workers run and their listeners are open; no news once it stops.
    void serves() {
        if (phase_ == Phase::starting) phase_ = Phase::serving;
    }
    /// A stop has begun; for good.
    void stops() { phase_ = Phase::stopping; }
    /// Operators want traffic to go elsewhere (`drain self`), or no longer (`enable self`).
    void drains(bool draining) { draining_ = draining; }

    /// What stands in the way, each in a few words: "starting", "stopping", "draining", or one for each
    /// pool of Config::ready_when without a usable server. None: ready. `now_ms` is monotonic.
    [[nodiscard]] std::vector<std::string> obstacles(std::uint64_t now_ms) const;

  private:
    enum class Phase : std::uint8_t { starting, serving, stopping };

    const SnapshotBuilder& builder_;
    Phase phase_ = Phase::starting;
    bool draining_ = false;
};

}  // namespace palier::control
