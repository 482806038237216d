// WorkerPool: one worker's view of a pool: the rotation, the idle connections, the exchanges that wait.
//
// Which server comes next: the lowest tier that has a usable server (active local, active remote, passive
// local, passive remote; without prefer_local: active, passive), and those after it for as long as that makes
// fewer than min_usable; smooth weighted round robin inside. Where no server is usable at all and when_none
// says try_all, every server of any tier, however ill.
// Usability and weights are read again when PoolState::version moves or a known time comes (an ejection ends,
// a slow start goes on), not at each request.
//
// Thread: worker only. Owner: the worker's PoolSet. Ends: when its pool has left the configuration and the
// last lease is back.
#pragma once

#include "palier/balance/smooth_weighted.h"
#include "palier/base/intrusive_list.h"
#include "palier/net/loop.h"
#include "palier/pool/backend_connection.h"
#include "palier/pool/lease.h"
#include "palier/pool/pool_snapshot.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace palier::pool {

class WorkerPool;

/// What the pools of one worker share.
struct PoolEnvironment {
    net::Loop& loop;
    base::BufferCache& buffers;
    tls::Workspace& tls;
    unsigned worker = 0;
    std::uint64_t server_idle_ms = 60'000;
    std::uint64_t seed = 0;  // where in its rotation this worker starts
};

/// One worker's side of one server: its connections.
class WorkerServer {
  public:
    /// `server` is one of the pool's snapshot.
    WorkerServer(WorkerPool& pool, const Server& server);
    ~WorkerServer();
    WorkerServer(const WorkerServer&) = delete;
    WorkerServer& operator=(const WorkerServer&) = delete;

    [[nodiscard]] const Server& server() const { return *server_; }
    [[nodiscard]] WorkerPool& pool() { return pool_; }

  private:
    friend class WorkerPool;
    friend class Lease;
    friend class BackendConnection;

    [[nodiscard]] BackendConnection* take_idle();
    [[nodiscard]] BackendConnection& new_connection();
    void park(BackendConnection& connection);
    void begin_tunnel(BackendConnection& connection);
    void discard(BackendConnection& connection);
    void close_idle();
    /// Up to `most` of them, which is counted down.
    void close_idle(std::size_t& most);
    /// The same with tunnels, whose exchanges hear of it.
    void end_tunnels(std::size_t& most);
    /// Connections in use; the exchanges hear of it by events.
    void cut_off();

    /// The same server in a newer snapshot of its pool.
    void renew(const Server& server);
    /// It has left its pool, of which `last` was the last snapshot that had it.
    void remove(std::shared_ptr<const PoolSnapshot> last);

    WorkerPool& pool_;
    const Server* server_;                              // in the pool's snapshot, or in `removed_from_`
    std::shared_ptr<const PoolSnapshot> removed_from_;  // null: it is in the pool
    WorkerCounters* counters_;
    base::IntrusiveList<BackendConnection> idle_;  // the latest first
    base::IntrusiveList<BackendConnection> leased_;
    base::IntrusiveList<BackendConnection> tunnels_;  // leased too, but for those that are to end
    std::size_t idle_count_ = 0;
    std::uint32_t leases_ = 0;
    std::uint32_t plan_ = 0;  // counts how the server is spoken to: older connections do not serve it
};

/// An exchange that waits until a server is below its limit.
class Waiter : public base::ListLink<Waiter> {
  public:
    virtual void on_server_free() = 0;

  protected:
    ~Waiter() = default;
};

/// The outcome of asking for a server.
enum class Pick : std::uint8_t {
    leased,
    full,  // all usable servers are at their limit
    none,  // no server is usable
};

class WorkerPool final : private net::Task {
  public:
    WorkerPool(PoolEnvironment& environment, std::shared_ptr<const PoolSnapshot> snapshot);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Takes over a newer snapshot of the same pool; servers that are in both keep their connections.
    void update(std::shared_ptr<const PoolSnapshot> snapshot);

    [[nodiscard]] const PoolSnapshot& snapshot() const { return *snapshot_; }
    [[nodiscard]] tls::Workspace& tls_workspace() { return environment_.tls; }

    /// Leases the next server that is not in `tried`. The lease has no connection yet.
    [[nodiscard]] Pick pick(std::span<const ServerState* const> tried, Lease& lease);

    /// Whether a server that is neither `server` nor in `tried` is usable now, in whatever tier.
    [[nodiscard]] bool has_other(const Server& server, std::span<const ServerState* const> tried = {});

    /// `waiter` hears of it when a server may have room again.
    void wait(Waiter& waiter);
    /// Others came first: ask for a server after them.
    [[nodiscard]] bool has_waiters() { return !waiters_.empty(); }

    /// Closes the idle connections to this server and, with `cut_off`, cuts off the exchanges under way with
    /// it, as if it had reset their connections.
    void server_down(const ServerState& server, bool cut_off);
    /// Closes up to `most` idle connections to it and, with `tunnels`, ends tunnels; `most` is counted down, and more
    /// than 0 at the end means that none is left.
    void close_some(const ServerState& server, bool tunnels, std::size_t& most);
    /// Closes connections that nobody uses.
    void close_idle();
    /// An exchange that may still ask for a server keeps the pool.
    void attach() { ++users_; }
    void detach() { --users_; }
    [[nodiscard]] bool idle() const { return leases_ == 0 && users_ == 0; }
    /// It has left the configuration: serves who is attached, keeps no connections.
    void retire();
    /// … and nobody needs it any more.
    [[nodiscard]] bool over() const { return retired_ && swept_ && idle(); }

  private:
    friend class WorkerServer;
    friend class Lease;
    friend class BackendConnection;

    struct Standing {
        std::uint32_t weight = 0;  // now, with slow start, times scale_; 0: not usable
        bool full = false;         // usable but for its limit
        bool growing = false;      // in slow start
    };
    static constexpr unsigned kTiers = 4;
    static constexpr std::uint64_t kFullStepMs = 16;  // other workers free servers without telling this one

    void on_again() override;
    void on_timer();
    /// `for_traffic`: an exchange asks; only then may passive servers take over for good.
    void refresh(std::uint64_t now_ms, bool for_traffic);
    /// Fills standings_; what it finds is true for the whole pool.
    void look_at_servers(std::uint64_t now_ms);
    void note_takeover();
    void hold_by_passive();
    [[nodiscard]] bool passive_goes_first() const;
    [[nodiscard]] unsigned last_tier(bool passive_first) const;
    [[nodiscard]] Standing standing(const Server& server, std::uint64_t now_ms);
    [[nodiscard]] unsigned tier(const Server& server, bool passive_first) const;
    [[nodiscard]] bool pick_untried(std::span<const ServerState* const> tried, std::uint64_t now_ms,
                                    Lease& lease);
    [[nodiscard]] bool take_place(ServerState& state, std::uint32_t places) const;
    [[nodiscard]] bool claim(WorkerServer& server, Lease& lease);
    void look_again_at(std::uint64_t time_ms) { refresh_at_ms_ = std::min(refresh_at_ms_, time_ms); }
    void released(WorkerServer& server, bool limited);
    void give_turn(ServerState& state);
    [[nodiscard]] bool anothers_turn(const ServerState& state, std::uint64_t now_ms) const;
    [[nodiscard]] std::uint64_t own_bit() const { return std::uint64_t{1} << (environment_.worker % 64); }
    template <typename Do>
    void for_each(const ServerState& state, Do act);
    void match_servers(std::shared_ptr<const PoolSnapshot> former);
    void sweep_removed();

    PoolEnvironment& environment_;
    std::shared_ptr<const PoolSnapshot> snapshot_;
    std::vector<std::unique_ptr<WorkerServer>> servers_;  // in the snapshot's order
    std::vector<std::unique_ptr<WorkerServer>> removed_;  // left the pool, still leased
    balance::SmoothWeighted rotation_;                    // by index into servers_
    std::vector<Standing> standings_;                     // scratch of refresh()
    std::uint64_t seen_version_ = 0;
    std::uint64_t refresh_at_ms_ = 0;
    std::uint32_t scale_ =
        1;  // of all weights: more than 1 while one grows, so that it can do so in small steps
    bool some_full_ = false;
    bool any_will_do_ = false;      // no server is usable, and all are to be tried
    std::size_t untried_from_ = 0;  // where pick_untried() goes on
    std::uint32_t leases_ = 0;
    std::uint32_t users_ = 0;
    bool retired_ = false;
    bool swept_ = false;  // no idle connection is left that nobody will use
    base::IntrusiveList<Waiter> waiters_;
    unsigned own_turns_ = 0;  // places freed here that stayed here while other workers waited
    base::Timer timer_;       // while somebody waits: other workers free servers without telling
};

/// All pools of one worker, by index of the current configuration.
class PoolSet {
  public:
    explicit PoolSet(PoolEnvironment environment) : environment_(environment) {}

    /// Makes pool i of the configuration that of `snapshots[i]`; pools that keep their name keep their state.
    void update(std::span<const std::shared_ptr<const PoolSnapshot>> snapshots, std::uint64_t server_idle_ms);

    [[nodiscard]] WorkerPool& at(std::size_t index) { return *pools_[index]; }
    void server_down(const ServerState& server, bool cut_off);
    /// Closes up to `most` idle connections to this server and, with `tunnels`, ends tunnels through it. True: none is
    /// left.
    [[nodiscard]] bool close_some(const ServerState& server, bool tunnels, std::size_t most);
    void close_idle();
    /// To be called now and then, not from within a pool: ends those that have left and are over.
    void sweep() {
        if (!removed_.empty()) sweep_removed();
    }

  private:
    void sweep_removed();

    PoolEnvironment environment_;
    std::vector<std::unique_ptr<WorkerPool>> pools_;
    std::vector<std::unique_ptr<WorkerPool>> removed_;
};

}  // namespace palier::pool
