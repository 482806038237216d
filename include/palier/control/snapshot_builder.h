// SnapshotBuilder: a Snapshot from a configuration and the addresses of its names. What did not change is
// shared with the snapshot before, so that workers keep what belongs to it. Thread: control only. Owner: the
// supervisor.
//
// Large snapshots take long to destroy: what was replaced is kept here until no worker holds it, so that it is the
// control thread which destroys it.
#pragma once

#include "palier/config/config.h"
#include "palier/pool/pool_snapshot.h"
#include "palier/proxy/snapshot.h"

#include <memory>
#include <vector>

namespace palier::control {

class SnapshotBuilder {
  public:
    explicit SnapshotBuilder(unsigned workers) : states_(workers) {}

    /// To be called before the first build() under `config`: reads the files that TLS to its servers needs.
    [[nodiscard]] base::Result<void> prepare(const config::Config& config) {
        return states_.prepare_tls(config);
    }

    /// The next snapshot, under `config`. Pools of which nothing has changed are those of the last one, even if
    /// `config` is another object.
    [[nodiscard]] std::shared_ptr<const proxy::Snapshot> build(std::shared_ptr<const config::Config> config,
                                                               const pool::Addresses& addresses,
                                                               const pool::Decisions& decisions = {});

    /// Counts on from another palier's generation; before the first build().
    void count_on_from(std::uint64_t generation) { generation_ = generation; }

    /// Destroys what was replaced and is not in use any more; to be called now and then.
    void forget_retired();
    /// Snapshots and pools that were replaced and are still in use.
    [[nodiscard]] std::size_t retired() const { return retired_.size() + retired_pools_.size(); }
    /// Pools and servers of which something is known.
    [[nodiscard]] std::size_t states() const { return states_.size(); }

    /// The last one built.
    [[nodiscard]] const std::shared_ptr<const proxy::Snapshot>& current() const { return current_; }

  private:
    void retire_current(const proxy::Snapshot& next);

    pool::StateTable states_;
    std::uint64_t generation_ = 0;  // the last one
    std::shared_ptr<const proxy::Snapshot> current_;
    std::vector<std::shared_ptr<const proxy::Snapshot>> retired_;
    std::vector<std::shared_ptr<const pool::PoolSnapshot>> retired_pools_;
};

}  // namespace palier::control
