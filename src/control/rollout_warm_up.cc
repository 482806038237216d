#include "control/rollout_warm_up.h"

#include "palier/config/units.h"

#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kRetryMs = 500;

/// A GET that is judged by its status alone. Whatever else probes of the pool send may be what tells the application
/// where they belong.
config::HealthConfig request_like(const config::HealthConfig* health) {
    config::HealthConfig request;
    if (health != nullptr && health->type == config::ProbeType::http) {
        request.host = health->host;
        request.headers = health->headers;
    }
    request.type = config::ProbeType::http;
    request.expect = {{200, 399}};
    return request;
}

}  // namespace

RolloutWarmUp::RolloutWarmUp(const health::ProbeEnvironment& environment, Settings settings, OnEnd on_end)
    : environment_(environment),
      settings_(std::move(settings)),
      on_end_(std::move(on_end)),
      probe_(environment, *this),
      timer_(base::Timer::calling<&RolloutWarmUp::ask>(this)) {}

void RolloutWarmUp::start(const std::vector<const pool::Server*>& addresses,
                          const config::HealthConfig* health) {
    request_ = request_like(health);
    if (!settings_.host.empty()) request_.host = settings_.host;
    for (const pool::Server* server : addresses) {
        for (const std::string& path : settings_.paths)
            visits_.push_back({{server->address, server->probe_host, server->tls}, path});
    }
    deadline_ms_ = now_ms() + static_cast<std::uint64_t>(settings_.timeout.count());
    environment_.loop.timers().arm(timer_, now_ms());
}

void RolloutWarmUp::cancel() {
    base::TimerWheel::disarm(timer_);
    probe_.cancel();
}

void RolloutWarmUp::ask() {
    if (next_ == visits_.size()) {
        on_end_({});
        return;
    }
    // A page that is slow for the first time may take all the time there is.
    const std::uint64_t left = deadline_ms_ > now_ms() ? deadline_ms_ - now_ms() : 1;
    request_.timeout = config::Duration(left);
    request_.path = visits_[next_].path;
    probe_.start(visits_[next_].target, request_);
}

void RolloutWarmUp::on_result(const health::Result& result) {
    if (!result.well) {
        ask_again_later(result.reason);
        return;
    }
    ++next_;
    // In a later turn: the probe has not returned yet.
    environment_.loop.timers().arm(timer_, now_ms());
}

void RolloutWarmUp::on_local_failure(std::string_view why) {
    ask_again_later(why);
}

void RolloutWarmUp::ask_again_later(std::string_view why) {
    if (now_ms() + kRetryMs < deadline_ms_) {
        environment_.loop.timers().arm(timer_, now_ms() + kRetryMs);
        return;
    }
    on_end_(fmt::format("{} was not answered well within {}: {}", visits_[next_].path,
                        config::to_text(settings_.timeout), why));
}

}  // namespace palier::control
