// DrainWaits: clients that wait until nothing is in flight with a server that was drained.
//
// It looks ten times a second and tells a client whenever its numbers fall. A wait ends when nothing is left, when its time
// is up, when the server is put to work meanwhile, or with its client; that changes nothing about the drain.
//
// Thread: control only. Owner: the commands. Ends: the destructor, which gives up all waits.
#pragma once

#include "control/targets.h"
#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/control/command.h"
#include "palier/control/engine.h"
#include "palier/control/overlay.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace palier::control {

class DrainWaits {
  public:
    struct Order {
        ServerName server;
        std::vector<std::shared_ptr<pool::ServerState>> states;
        config::Duration time;
        bool cut_tunnels = false;  // also those that begin meanwhile
        nlohmann::json result;     // what the reply says beside the numbers, however it ends
        std::shared_ptr<Reply> reply;
    };

    DrainWaits(net::Loop& loop, Engine& engine, const Overlay& overlay)
        : loop_(loop), engine_(engine), overlay_(overlay) {}
    DrainWaits(const DrainWaits&) = delete;
    DrainWaits& operator=(const DrainWaits&) = delete;

    void add(Order order);

  private:
    struct Wait {
        Order order;
        std::uint64_t until_ms;
        Load told;
    };

    void look_at_all();
    /// True: it is over.
    [[nodiscard]] bool look(Wait& wait);
    [[nodiscard]] bool put_to_work(const ServerName& server) const;

    net::Loop& loop_;
    Engine& engine_;
    const Overlay& overlay_;
    std::list<Wait> waits_;
    base::Timer timer_ = base::Timer::calling<&DrainWaits::look_at_all>(this);
};

}  // namespace palier::control
