#include "control/drain_waits.h"

#include "palier/config/units.h"

#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kLookMs = 100;

/// 2 exchanges are still in flight after 30s, of which 1 tunnel
std::string still_in_flight(const Load& load, config::Duration time) {
    std::string text =
        fmt::format("{} still in flight after {}",
                    load.in_flight == 1 ? "1 exchange is" : fmt::format("{} exchanges are", load.in_flight),
                    config::to_text(time));
    if (load.tunnels != 0)
        text += fmt::format(", of which {} {}", load.tunnels, load.tunnels == 1 ? "tunnel" : "tunnels");
    return text;
}

void put(const Load& load, nlohmann::json& object) {
    object["in_flight"] = load.in_flight;
    object["tunnels"] = load.tunnels;
}

}  // namespace

void DrainWaits::add(Order order) {
    const std::uint64_t until_ms = loop_.now_ms() + static_cast<std::uint64_t>(order.time.count());
    const Load load = load_of(order.states);
    if (load.in_flight != 0) {
        nlohmann::json event{{"event", "draining"}};
        put(load, event);
        order.reply->event(std::move(event));
    }
    Wait wait{.order = std::move(order), .until_ms = until_ms, .told = load};
    if (look(wait)) return;
    waits_.push_back(std::move(wait));
    if (!timer_.armed()) loop_.timers().arm(timer_, loop_.now_ms() + kLookMs);
}

void DrainWaits::look_at_all() {
    std::erase_if(waits_, [this](Wait& wait) { return look(wait); });
    if (!waits_.empty()) loop_.timers().arm(timer_, loop_.now_ms() + kLookMs);
}

bool DrainWaits::look(Wait& wait) {
    Order& order = wait.order;
    if (!order.reply->open()) return true;
    const Load load = load_of(order.states);
    const std::string name = fmt::format("{}/{}", order.server.pool, order.server.server);
    put(load, order.result);
    if (put_to_work(order.server)) {
        order.result.erase("admin");
        order.reply->fail(fmt::format("{} is not drained any more: that was changed meanwhile", name),
                          std::move(order.result));
        return true;
    }
    if (load.in_flight == 0) {
        order.result["drained"] = true;
        order.reply->done(std::move(order.result));
        return true;
    }
    if (loop_.now_ms() >= wait.until_ms) {
        order.result["drained"] = false;
        order.reply->fail(fmt::format("{}; {} stays drained", still_in_flight(load, order.time), name),
                          std::move(order.result));
        return true;
    }
    if (load.in_flight < wait.told.in_flight || load.tunnels < wait.told.tunnels) {
        nlohmann::json event{{"event", "draining"}};
        put(load, event);
        order.reply->event(std::move(event));
    }
    wait.told = load;
    if (order.cut_tunnels && load.tunnels != 0) {
        for (const auto& state : order.states)
            engine_.close_connections(state, true, [] {});
    }
    return false;
}

bool DrainWaits::put_to_work(const ServerName& server) const {
    const auto pool = overlay_.decisions().find(server.pool);
    if (pool == overlay_.decisions().end()) return true;
    const auto found = pool->second.servers.find(server.server);
    return found == pool->second.servers.end() || found->second.admin == pool::Admin::enabled;
}

}  // namespace palier::control
