// SnapshotBuilder: a Snapshot from a configuration and the addresses of its names. What did not change is
// shared with the snapshot before, so that workers keep what belongs to it. Thread: control only. Owner: the
// supervisor.
#pragma once

#include "palier/config/config.h"
#include "palier/pool/pool_snapshot.h"
#include "palier/proxy/snapshot.h"

#include <memory>

namespace palier::control {

class SnapshotBuilder {
  public:
    explicit SnapshotBuilder(unsigned workers) : states_(workers) {}

    /// To be called before the first build() under `config`: reads the files that TLS to its servers needs.
    [[nodiscard]] base::Result<void> prepare(const config::Config& config) {
        return states_.prepare_tls(config);
    }

    /// The next snapshot, under `config`.
    [[nodiscard]] std::shared_ptr<const proxy::Snapshot> build(std::shared_ptr<const config::Config> config,
                                                               const pool::Addresses& addresses);

    /// The last one built.
    [[nodiscard]] const std::shared_ptr<const proxy::Snapshot>& current() const { return current_; }

  private:
    pool::StateTable states_;
    std::shared_ptr<const proxy::Snapshot> current_;
};

}  // namespace palier::control
