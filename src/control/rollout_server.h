// RolloutServer: one server's way through a roll-out. rollout_server.cc has the table of its steps.
//
// Thread: control only. Owner: a RolloutRun, until the run itself has ended, by way of the loop's deferred deletion.
// Ends: on_end, called once.
#pragma once

#include "control/rollout_hook.h"
#include "control/rollout_options.h"
#include "control/rollout_soak.h"
#include "control/rollout_warm_up.h"
#include "palier/base/timer_wheel.h"
#include "palier/control/engine.h"
#include "palier/control/overlay.h"
#include "palier/health/probe.h"
#include "palier/net/loop.h"
#include "palier/pool/pool_snapshot.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace palier::control {

/// What all roll-outs stand on.
struct RolloutGround {
    Engine& engine;
    Overlay& overlay;
    net::Loop& loop;
    health::ProbeEnvironment probes;
    std::uint64_t kill_after_ms;  // a hook that was told to end
};

enum class RolloutStep : std::uint8_t {
    available,
    drain,
    hook,
    warm,
    probe,
    enable,
    slow_start,
    soak,
    back_out,
    undo,
    over,
};
[[nodiscard]] std::string_view text_of(RolloutStep step);

class RolloutServer {
  public:
    enum class Outcome : std::uint8_t {
        done,
        untouched,  // nothing was changed on it, and it works as before
        failed,     // it is left drained, or as an operator has it meanwhile
        aborted,
    };

    struct End {
        Outcome outcome = Outcome::done;
        std::string step;  // in which it failed or was aborted
        std::string why;   // "" when done
        std::string undo;  // how `undo` ended; "": none was run
        bool drained = false;
        bool touched = false;  // its hook has begun
    };

    struct Callbacks {
        std::function<void(RolloutServer&, std::string_view detail)> on_step;  // it has begun, or goes on
        std::function<void(RolloutServer&)> on_hook;                           // it runs: hook_pid() is known
        std::function<void(RolloutServer&, net::Process::Stream, std::string_view line)> on_line;
        std::function<void(RolloutServer&, const End&)> on_end;
    };

    struct Task {
        RolloutPlace place;
        std::vector<std::string> batch;  // itself among them
        Stamp stamp;                     // for what it changes in the overlay
    };

    RolloutServer(RolloutGround& ground, const RolloutOptions& options, Task task, Callbacks callbacks);
    RolloutServer(const RolloutServer&) = delete;
    RolloutServer& operator=(const RolloutServer&) = delete;

    void start();
    /// Ends it as soon as that can be done: a hook is terminated first.
    void abort();
    /// Says nothing any more and terminates its hook: palier stops.
    void drop();

    [[nodiscard]] const std::string& name() const { return task_.place.server; }
    [[nodiscard]] RolloutStep step() const { return step_; }
    [[nodiscard]] bool over() const { return step_ == RolloutStep::over; }
    /// By this roll-out, at present.
    [[nodiscard]] bool drained() const { return drained_; }
    /// The process id of the hook that runs; 0: none.
    [[nodiscard]] int hook_pid() const { return hook_pid_; }

  private:
    struct Watched {  // an address under soak, or one of the others
        std::shared_ptr<pool::ServerState> state;
        pool::ServerState::Totals from;
    };

    void go_to(RolloutStep step, std::string_view detail);
    void on_tick();

    void wait_for_others();
    void drain(std::string_view detail);
    void take_out(RolloutStep step, std::string_view detail);
    void wait_for_drained();
    void close_idle();
    void run_hook(RolloutStep step);
    void on_hook_end(const std::string& fault);
    void warm_up();
    void await_probes();
    void wait_for_probes();
    void enable();
    void warm_slowly();
    void wait_for_slow_start();
    void begin_soak();
    void soak();
    void back_out(const std::string& why);
    void run_undo();

    void put_back(const std::string& why);
    void fail(const std::string& why);
    [[nodiscard]] bool fail_if_gone();
    void end(Outcome outcome, const std::string& why);
    void publish(void (RolloutServer::*in_force)());
    [[nodiscard]] std::string change_admin(pool::Admin admin);

    [[nodiscard]] std::shared_ptr<const pool::PoolSnapshot> pool() const;
    [[nodiscard]] std::vector<const pool::Server*> addresses() const;
    [[nodiscard]] std::uint32_t in_flight() const;
    [[nodiscard]] std::string in_flight_words() const;
    [[nodiscard]] std::size_t usable_others() const;
    [[nodiscard]] std::string standing_fault() const;
    [[nodiscard]] pool::Admin decided() const;
    [[nodiscard]] static std::uint64_t ms_of(config::Duration duration) {
        return static_cast<std::uint64_t>(duration.count());
    }
    [[nodiscard]] std::uint64_t now_ms() const { return ground_.loop.now_ms(); }
    [[nodiscard]] bool waited_long_enough() const { return now_ms() >= deadline_ms_; }

    RolloutGround& ground_;
    const RolloutOptions& options_;
    Task task_;
    Callbacks callbacks_;
    RolloutStep step_ = RolloutStep::available;
    std::uint64_t step_from_ms_ = 0;
    std::uint64_t deadline_ms_ = 0;  // of the step
    bool drained_ = false;
    bool inherited_ = false;   // drained by an interrupted roll-out
    bool in_force_ = false;    // the workers know what was published last
    std::size_t closing_ = 0;  // addresses whose idle connections are being closed
    std::uint32_t told_in_flight_ = 0;
    std::uint64_t told_ms_ = 0;
    bool aborting_ = false;
    int hook_pid_ = 0;
    End end_;  // as far as it is known
    std::vector<Watched> soaked_;
    std::vector<Watched> others_;
    std::unique_ptr<RolloutHook> hook_;
    std::unique_ptr<RolloutHook> undo_;
    std::unique_ptr<RolloutWarmUp> warm_up_;
    base::Timer tick_;
    std::shared_ptr<const char> life_;  // the engine may answer after this has died
};

}  // namespace palier::control
