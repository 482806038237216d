// Judge: what a row of probe results makes of a server.
//
//   state    | usable          | a success                  | a failure
//   unknown  | if start = "up" | up                         | down
//   up       | yes             | up                         | falling; down if fall = 1
//   falling  | yes             | up                         | down after `fall` in a row
//   down     | no              | rising; up if rise = 1     | down
//   rising   | no              | up after `rise` in a row   | down
//
// Ejection by live traffic is another flag (pool/outlier.h); a server is used only when both are clear.
//
// Thread: control only. Owner: the monitor's entry of a server. A value: no I/O, no clock.
#pragma once

#include "palier/config/config.h"
#include "palier/pool/server_state.h"

#include <cstdint>

namespace palier::health {

class Judge {
  public:
    [[nodiscard]] pool::Health state() const { return state_; }

    /// Takes the next result in; true when the state has become another.
    [[nodiscard]] bool apply(bool well, const config::HealthConfig& config);

    /// As if it had just gone down.
    void doubt();
    /// Goes on where another judge stood; what its last results were is forgotten.
    void resume(pool::Health standing);

    /// Whether a server in this state may be used.
    [[nodiscard]] static bool usable(pool::Health state, const config::HealthConfig& config);

    /// From the start of the last probe to the start of the next, before jitter: fast while a change is being
    /// confirmed, slow while the server stays down.
    [[nodiscard]] config::Duration interval(const config::HealthConfig& config) const;

  private:
    pool::Health state_ = pool::Health::unknown;
    std::uint32_t in_row_ = 0;  // results against the present standing
};

}  // namespace palier::health
