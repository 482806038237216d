// RolloutWarmUp: asks one server for some paths until each has been answered with 2xx or 3xx, so that its caches are
// filled before clients come. A page is read to its end, but for what exceeds 64 KiB.
// Thread: control only. Owner: a RolloutServer, which outlives the turn in which it cancelled this. Ends: on_end.
#pragma once

#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/health/probe.h"
#include "palier/pool/pool_snapshot.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace palier::control {

class RolloutWarmUp final : private health::ProbeUser {
  public:
    /// `fault`: "" once every path was answered, else which was not, and how.
    using OnEnd = std::function<void(const std::string& fault)>;

    struct Settings {
        std::vector<std::string> paths;
        std::string host;          // "": as the pool's probes name it, or the server's address
        config::Duration timeout;  // of all of them together
    };

    RolloutWarmUp(const health::ProbeEnvironment& environment, Settings settings, OnEnd on_end);
    RolloutWarmUp(const RolloutWarmUp&) = delete;
    RolloutWarmUp& operator=(const RolloutWarmUp&) = delete;

    /// Every path, at each of the server's addresses. `health`: the pool's probes, null without.
    void start(const std::vector<const pool::Server*>& addresses, const config::HealthConfig* health);
    /// on_end will not be called.
    void cancel();

  private:
    struct Visit {
        health::ProbeTarget target;
        std::string path;
    };

    void on_result(const health::Result& result) override;
    void on_local_failure(std::string_view why) override;
    void ask();
    void ask_again_later(std::string_view why);
    [[nodiscard]] std::uint64_t now_ms() const { return environment_.loop.now_ms(); }

    const health::ProbeEnvironment& environment_;
    Settings settings_;
    OnEnd on_end_;
    std::vector<Visit> visits_;
    std::size_t next_ = 0;
    std::uint64_t deadline_ms_ = 0;
    config::HealthConfig request_;
    health::Probe probe_;
    base::Timer timer_;
};

}  // namespace palier::control
