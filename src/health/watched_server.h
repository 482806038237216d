// WatchedServer: one server under probes: when it is asked, how it is judged, and what of that is published in its
// ServerState.
// Thread: control only. Owner: the monitor, by way of the loop's deferred deletion. Ends: drop().
#pragma once

#include "health/rhythm.h"
#include "palier/base/log.h"
#include "palier/health/judge.h"
#include "palier/health/monitor.h"
#include "palier/health/probe.h"
#include "palier/net/deferred.h"
#include "palier/pool/pool_snapshot.h"

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace palier::health {

/// What all watched servers of one monitor share.
struct WatchShared {
    ProbeEnvironment probes;
    Monitor::Down down;
    std::minstd_rand random;
    base::RateLimitedLog local_failures{10'000};

    /// In [0, 1).
    [[nodiscard]] double chance() { return std::uniform_real_distribution<>(0, 1)(random); }
};

class WatchedServer final : public net::Deferred, private ProbeUser {
  public:
    /// Server number `index` of `pool`, which has probes. Its state says at once that nothing is known yet; no
    /// probe starts before begin().
    /// `trusted`: it is in use, and is so until its first result.
    WatchedServer(WatchShared& shared, std::shared_ptr<const pool::PoolSnapshot> pool, std::size_t index,
                  bool trusted);
    WatchedServer(const WatchedServer&) = delete;
    WatchedServer& operator=(const WatchedServer&) = delete;

    /// The same server in a newer snapshot. True: it is probed in another way than before, its probe was
    /// cancelled and it wants to begin() again. It keeps its standing.
    [[nodiscard]] bool renew(std::shared_ptr<const pool::PoolSnapshot> pool, std::size_t index);
    void begin(std::uint64_t delay_ms);
    /// It takes the place of a server in use, whose name leads here now: it is used before its first result.
    void succeed_one_in_use();
    /// What was found so far counts no longer: it is down, and asked at once.
    void doubt();
    void drop();

    [[nodiscard]] Rhythm& rhythm() { return rhythm_; }
    [[nodiscard]] pool::Health health() const { return judge_.state(); }
    [[nodiscard]] bool held_down() const {
        const bool trusted = trusted_ && judge_.state() == pool::Health::unknown;
        return !trusted && !Judge::usable(judge_.state(), config_);
    }
    /// Pool and server as configured, whatever address this is.
    [[nodiscard]] std::pair<std::string_view, std::string_view> configured_name() const {
        return {pool_->config.name, server().name};
    }
    /// In [0, 1): where chance put it among all servers.
    [[nodiscard]] double chance() const { return chance_; }
    [[nodiscard]] std::string_view reason() const { return reason_; }
    [[nodiscard]] const base::SocketAddress& probe_address() const { return target_.address; }

    /// For its owner: the last watch() that named it.
    std::uint64_t named_in = 0;

  private:
    void on_turn_come();
    void on_result(const Result& result) override;
    void on_local_failure(std::string_view why) override;

    void take_up_former();
    [[nodiscard]] bool become(pool::Health former, bool bad);
    void hold_or_release();
    void arm_next();
    [[nodiscard]] std::string success_words(pool::Health former) const;
    [[nodiscard]] const pool::Server& server() const { return pool_->servers[index_]; }
    [[nodiscard]] net::Loop& loop() const { return shared_.probes.loop; }

    WatchShared& shared_;
    std::shared_ptr<const pool::PoolSnapshot> pool_;
    std::size_t index_;
    config::HealthConfig config_;  // of its own: a probe under way outlives the snapshot that it began with
    ProbeTarget target_;
    Judge judge_;
    double chance_;
    Rhythm rhythm_;
    Probe probe_;
    base::Timer timer_;
    std::uint64_t started_ms_ = 0;  // the last probe
    std::uint64_t since_ms_;        // the present state
    std::string reason_;            // for the present state
    bool trusted_;
};

}  // namespace palier::health
