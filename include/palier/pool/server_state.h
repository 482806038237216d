// ServerState and PoolState: what is known of a server and a pool at run time, shared by all workers and kept
// from one snapshot to the next. Blocks of atomics; nothing here is guarded by a lock.
// Thread: any. Owner: shared by the snapshots that name the server and by leases. Ends with the last of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace palier::pool {

/// What every request writes: one cache line for each worker, summed by whoever reads.
struct alignas(64) WorkerCounters {
    std::atomic<std::uint32_t> in_flight{0};
    std::atomic<std::uint32_t> connections{0};  // open, in use or idle
    std::atomic<std::uint32_t> tunnels{0};
    std::atomic<std::uint64_t> exchanges{0};
    std::atomic<std::uint64_t> failures{0};
    std::atomic<std::uint64_t> answers{0};      // response heads, of tunnels too
    std::atomic<std::uint64_t> response_us{0};  // from the lease to the response head, of all answers

    /// Adds to a counter that only this worker writes: no locked instruction.
    template <typename T>
    static void add(std::atomic<T>& counter, T value) {
        counter.store(static_cast<T>(counter.load(std::memory_order_relaxed) + value),
                      std::memory_order_relaxed);
    }
};

/// What active probes say of a server; health/judge.h has the table.
enum class Health : std::uint8_t {
    unprobed,  // there are no probes: usable
    unknown,   // no result yet
    up,
    falling,  // up, and failing
    down,
    rising,  // down, and succeeding
};
[[nodiscard]] std::string_view text_of(Health health);

struct ServerState {
    ServerState(std::string full_name, std::string short_name, unsigned workers)
        : name(std::move(full_name)),
          server(std::move(short_name)),
          counters(std::make_unique<WorkerCounters[]>(workers)),
          workers_(workers) {}

    /// Exchanges, tunnels among them, and those of the palier before this one.
    [[nodiscard]] std::uint32_t in_flight() const;
    struct Totals {
        std::uint64_t ended = 0;     // exchanges
        std::uint64_t failures = 0;  // of the server, whether their exchange has ended or not
        std::uint64_t answers = 0;
        std::uint64_t response_us = 0;  // of all answers together
        std::uint32_t connections = 0;  // open now
        std::uint32_t tunnels = 0;      // open now, those of the palier before this one too
    };
    /// Over all workers, which may count on meanwhile.
    [[nodiscard]] Totals totals() const;

    const std::string name;    // pool/server, with the address where that comes from the DNS
    const std::string server;  // the server's name alone

    // What active probes show; written by the control thread alone.
    std::atomic<Health> health{Health::unprobed};
    std::atomic<bool> held_down{false};             // by probes: not usable
    std::atomic<bool> used_unprobed{false};         // it was in use before it had probes
    std::atomic<std::uint64_t> health_since_ms{0};  // monotonic, when `health` last went up or down
    /// What the palier before this one found; taken up, with health_since_ms, when probes begin.
    std::atomic<Health> former_health{Health::unprobed};

    // What live traffic shows. A server is ejected while ejected_until_ms is not 0; once that time has come
    // it gets one request on trial, whose outcome ends the ejection or renews it.
    std::atomic<std::uint32_t> failures_in_row{0};
    std::atomic<std::uint64_t> ejected_until_ms{0};  // monotonic
    std::atomic<std::uint64_t> returned_at_ms{0};    // when the last ejection ended, monotonic; 0: never
    std::atomic<std::uint32_t> ejections_in_row{0};
    std::atomic<bool> on_trial{false};
    std::atomic<std::uint64_t> standing_since_ms{0};  // the last ejection's begin or end, monotonic

    // The error rate's window: it begins with a failure, and has the counters' sums of then.
    std::atomic<std::uint64_t> window_from_ms{0};
    std::atomic<std::uint64_t> window_exchanges{0};
    std::atomic<std::uint64_t> window_failures{0};

    /// A connection could not be made since this was last looked at: its name may have moved.
    std::atomic<bool> unreachable{false};
    /// When the log last said why connections could not be made; monotonic.
    std::atomic<std::uint64_t> complained_ms{0};

    std::atomic<std::uint64_t> slow_start_from_ms{0};  // monotonic; 0: at full weight

    // What the palier before this one, which ends, still has with it; written by the control thread alone.
    std::atomic<std::uint32_t> former_in_flight{0};
    std::atomic<std::uint32_t> former_tunnels{0};

    // Kept only for servers with max_connections: exchanges in flight over all workers, and whose turn the
    // place is that was freed last (worker + 1; 0: anyone's), for as long as that worker may take to notice.
    std::atomic<std::uint32_t> limited{0};
    std::atomic<std::uint32_t> turn_of{0};
    std::atomic<std::uint64_t> turn_until_ms{0};

    const std::unique_ptr<WorkerCounters[]> counters;  // by worker

  private:
    unsigned workers_;
};

struct PoolState {
    explicit PoolState(std::string pool_name) : name(std::move(pool_name)) {}

    const std::string name;
    /// Grows whenever a server's usability or weight changed: workers look again at all servers then.
    std::atomic<std::uint64_t> version{1};
    /// failback = "manual": the era (PoolSnapshot::era) in which the passive servers have taken over and keep the
    /// traffic; 0: they have not. See held_by_passive() in standing.h.
    std::atomic<std::uint64_t> held_by_passive{0};
    std::uint64_t eras = 0;  // control thread only
    /// A bit for each worker (modulo 64) in which exchanges wait for a server below its limit.
    std::atomic<std::uint64_t> waiting{0};

    void changed() { version.fetch_add(1, std::memory_order_release); }
};

}  // namespace palier::pool
