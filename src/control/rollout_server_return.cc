// The way back to work of a server whose hook is done: warm-up, probes, slow start, soak.

#include "control/rollout_server.h"
#include "palier/config/units.h"
#include "palier/pool/outlier.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace palier::control {

void RolloutServer::warm_up() {
    if (fail_if_gone()) return;
    if (options_.warm.empty()) {
        await_probes();
        return;
    }
    go_to(RolloutStep::warm, fmt::format("{}", fmt::join(options_.warm, ", ")));
    warm_up_ = std::make_unique<RolloutWarmUp>(
        ground_.probes, RolloutWarmUp::Settings{options_.warm, options_.warm_host, options_.warm_timeout},
        [this](const std::string& fault) {
            if (fault.empty()) {
                await_probes();
            } else {
                fail(fault);
            }
        });
    const auto& health = pool()->config.health;
    warm_up_->start(addresses(), health ? &*health : nullptr);
}

void RolloutServer::await_probes() {
    if (fail_if_gone()) return;
    const auto in = pool();
    if (!in->config.health) {
        enable();
        return;
    }
    const config::HealthConfig& health = *in->config.health;
    const config::Duration needed =
        std::max(health.interval, health.down_interval) * (health.rise + 2) + health.timeout;
    deadline_ms_ = now_ms() + ms_of(std::max(needed, options_.wait));
    for (const pool::Server* server : addresses())
        ground_.engine.doubt_health(*server->state);
    go_to(RolloutStep::probe,
          fmt::format("waiting for {} {}", health.rise, health.rise == 1 ? "success" : "successes in a row"));
}

void RolloutServer::wait_for_probes() {
    const auto all = addresses();
    const auto well = [](const pool::Server* server) {
        const pool::Health health = server->state->health.load();
        return health == pool::Health::up || health == pool::Health::unprobed;
    };
    const auto ill = std::ranges::find_if_not(all, well);
    if (ill == all.end()) {
        enable();
    } else if (waited_long_enough()) {
        const std::string_view reason = ground_.engine.health_reason(*(*ill)->state);
        fail(fmt::format("probes do not find it healthy after {}{}{}",
                         config::to_text(config::Duration((now_ms() - step_from_ms_) / 1000 * 1000)),
                         reason.empty() ? "" : ": ", reason));
    }
}

void RolloutServer::enable() {
    if (decided() == pool::Admin::disabled) {
        drained_ = false;
        end_.step = text_of(RolloutStep::enable);
        end(Outcome::failed, "an operator has disabled it meanwhile");
        return;
    }
    const std::string unkept = change_admin(pool::Admin::enabled);
    drained_ = false;
    const auto in = pool();
    // What traffic found before the update counts no longer.
    for (const pool::Server* server : addresses())
        pool::end_ejection(*in, *server, "rolled out", now_ms());
    go_to(RolloutStep::enable, unkept);
    publish(&RolloutServer::warm_slowly);
}

void RolloutServer::warm_slowly() {
    // A reload may have come between the order and its being in force.
    if (step_ != RolloutStep::enable || fail_if_gone()) return;
    std::uint64_t longest = 0;
    for (const pool::Server* server : addresses())
        longest = std::max(longest, server->slow_start_ms);
    if (longest == 0) {
        begin_soak();
    } else {
        go_to(RolloutStep::slow_start, config::to_text(config::Duration(longest)));
    }
}

void RolloutServer::wait_for_slow_start() {
    if (const std::string fault = standing_fault(); !fault.empty()) {
        fail(fault);
        return;
    }
    for (const pool::Server* server : addresses()) {
        const std::uint64_t from = server->state->slow_start_from_ms.load();
        if (from != 0 && now_ms() < from + server->slow_start_ms) return;
    }
    begin_soak();
}

void RolloutServer::begin_soak() {
    if (options_.soak == config::Duration::zero()) {
        end(Outcome::done, {});
        return;
    }
    deadline_ms_ = now_ms() + ms_of(options_.soak);
    for (const pool::Server& server : pool()->servers) {
        if (server.name == name()) {
            soaked_.push_back({server.state, server.state->totals()});
        } else if (std::ranges::find(task_.batch, server.name) == task_.batch.end()) {
            others_.push_back({server.state, server.state->totals()});
        }
    }
    go_to(RolloutStep::soak, config::to_text(options_.soak));
}

void RolloutServer::soak() {
    std::string fault = standing_fault();
    if (fault.empty()) {
        SoakCounts server;
        SoakCounts others;
        for (const Watched& watched : soaked_)
            server.add(watched.from, watched.state->totals());
        for (const Watched& watched : others_)
            others.add(watched.from, watched.state->totals());
        fault = soak_fault(server, others);
    }
    if (!fault.empty()) {
        fail(fault);
    } else if (waited_long_enough()) {
        end(Outcome::done, {});
    }
}

}  // namespace palier::control
