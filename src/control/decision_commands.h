// The commands by which operators decide about pools and servers: drain, enable, disable, weight, only, maintenance.
//
// Each puts its decision into the overlay, publishes it, and replies with what is in force then.
//
// Thread: control only. Owner: the functions in the CommandTable, which share it.
#pragma once

#include "control/drain_waits.h"
#include "control/targets.h"
#include "palier/control/commands.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace palier::control {

class DecisionCommands : public std::enable_shared_from_this<DecisionCommands> {
  public:
    using ReplyPtr = std::shared_ptr<Reply>;

    explicit DecisionCommands(const CommandEnvironment& environment)
        : loop_(environment.loop),
          engine_(environment.engine),
          overlay_(environment.overlay),
          events_(environment.events),
          waits_(loop_, engine_, overlay_) {}

    void drain(const Request& request, const ReplyPtr& reply);
    void enable(const Request& request, const ReplyPtr& reply);
    void disable(const Request& request, const ReplyPtr& reply);
    void weight(const Request& request, const ReplyPtr& reply);
    void only(const Request& request, const ReplyPtr& reply);
    void maintenance(const Request& request, const ReplyPtr& reply);

    /// An entry of the overlay has ended; what follows is published next.
    void on_end(const Ended& ended);

  private:
    /// What is in force after a change, for its reply.
    using InForce = std::function<void(const Target& target, nlohmann::json result)>;

    void only_off(const std::string& pool, const Stamp& stamp, const ReplyPtr& reply);
    /// Publishes, and then looks the server up again. `unsaved`: why the overlay could not be kept, or "".
    void publish(const ServerName& name, const std::string& unsaved, const ReplyPtr& reply, InForce in_force);
    void publish_pool(const std::string& pool, const std::string& unsaved, const ReplyPtr& reply,
                      nlohmann::json result, bool warn_of_lack);
    /// Ends an entry about what is not configured; false if there is none.
    [[nodiscard]] bool forget(const ServerName& name, bool admin, const Stamp& stamp, const ReplyPtr& reply);
    void close_connections(const Target& target, bool tunnels, std::function<void()> done);
    [[nodiscard]] nlohmann::json report(const Target& target) const;

    net::Loop& loop_;
    Engine& engine_;
    Overlay& overlay_;
    Events& events_;
    DrainWaits waits_;
};

/// A sentence for the reply's "warning", after those that are there.
void add_warning(nlohmann::json& result, std::string_view warning);

}  // namespace palier::control
