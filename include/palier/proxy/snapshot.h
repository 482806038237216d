// Snapshot: all that an exchange needs to know, as of one configuration load.
// Thread: immutable, any thread. Owner: the control thread's current one, and each worker's pins.
// Ends: with the last exchange that began under it.
#pragma once

#include "palier/config/config.h"
#include "palier/pool/pool_snapshot.h"
#include "palier/proxy/router.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace palier::proxy {

struct Snapshot {
    std::uint64_t generation = 0;  // grows with each published one
    std::shared_ptr<const config::Config> config;
    std::shared_ptr<const std::vector<Router>> routers;  // by listener
    std::shared_ptr<const Router> fallback_router;       // for listeners that left the configuration
    std::vector<std::shared_ptr<const pool::PoolSnapshot>> pools;  // by pool

    /// `listener`: ListenerFacts::index.
    [[nodiscard]] const Router& router(std::size_t listener) const {
        return listener < routers->size() ? (*routers)[listener] : *fallback_router;
    }
};

/// A worker's hold on a snapshot, counted without atomics because it never leaves the worker.
class SnapshotPin {
  public:
    SnapshotPin() = default;
    explicit SnapshotPin(std::shared_ptr<const Snapshot> snapshot)
        : held_(new Held{std::move(snapshot), 1}) {}
    SnapshotPin(const SnapshotPin& other) : held_(other.held_) {
        if (held_ != nullptr) ++held_->pins;
    }
    SnapshotPin(SnapshotPin&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    SnapshotPin& operator=(SnapshotPin other) noexcept {
        std::swap(held_, other.held_);
        return *this;
    }
    ~SnapshotPin() {
        if (held_ != nullptr && --held_->pins == 0) delete held_;
    }

    const Snapshot* operator->() const { return held_->snapshot.get(); }
    const Snapshot& operator*() const { return *held_->snapshot; }

  private:
    struct Held {
        std::shared_ptr<const Snapshot> snapshot;
        std::uint32_t pins;
    };
    Held* held_ = nullptr;
};

}  // namespace palier::proxy
