#include "palier/control/commands.h"

#include "control/decision_commands.h"
#include "control/request_options.h"
#include "control/status_commands.h"
#include "palier/config/units.h"

#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

using ReplyPtr = std::shared_ptr<Reply>;
using Run = void (DecisionCommands::*)(const Request&, const ReplyPtr&);

constexpr std::string_view kSelf = "self";

void drain_self(const CommandEnvironment& environment, const Request& request, const ReplyPtr& reply) {
    if (request.has("tunnels") || request.has("ttl"))
        return reply->fail("drain self has the options wait and reason only");
    const auto wait = duration_option(request, "wait", config::kLongest);
    if (!wait) return reply->fail(wait.error().message);
    const config::Duration grace = wait->value_or(environment.engine.snapshot().config->shutdown_grace);
    environment.engine.drain_self(grace, [reply, grace](const std::string& error) {
        if (!error.empty()) return reply->fail(error);
        reply->done({{"self", "drained"}, {"listeners_close_in_ms", grace.count()}});
    });
}

void enable_self(const CommandEnvironment& environment, const ReplyPtr& reply) {
    environment.engine.enable_self([reply](const std::string& error) {
        if (!error.empty()) return reply->fail(error);
        reply->done({{"self", "enabled"}});
    });
}

void add_telling(CommandTable& commands, const CommandEnvironment& environment) {
    commands.add(
        {.name = "status",
         .usage = "status",
         .about = "palier itself: version, uptime, connections, whether it is ready",
         .options = {},
         .run = [environment](const Request&, const ReplyPtr& reply) { tell_status(environment, reply); }});
    commands.add({.name = "pools",
                  .usage = "pools [POOL]",
                  .about = "every server: its health, what was decided about it, what it does",
                  .most_words = 1,
                  .options = {},
                  .run = [environment](const Request& request, const ReplyPtr& reply) {
                      tell_pools(environment, request, reply);
                  }});
    commands.add({.name = "certificates",
                  .usage = "certificates [reload]",
                  .about = "names, expiry and files; reload: look at the files now",
                  .most_words = 1,
                  .options = {},
                  .run = [environment](const Request& request, const ReplyPtr& reply) {
                      tell_certificates(environment, request, reply);
                  }});
}

void add_out_and_in(CommandTable& commands, const CommandEnvironment& environment,
                    const std::shared_ptr<DecisionCommands>& decisions) {
    commands.add({.name = "drain",
                  .usage = "drain POOL/SERVER [wait=30s] [tunnels=wait|close] [reason=TEXT] [ttl=1h], or "
                           "drain self [wait=30s]",
                  .about = "no new requests; those in flight end by themselves",
                  .least_words = 1,
                  .most_words = 1,
                  .options = {"wait", "tunnels", "reason", "ttl"},
                  .changes = true,
                  .run = [environment, decisions](const Request& request, const ReplyPtr& reply) {
                      if (request.words[0] == kSelf) return drain_self(environment, request, reply);
                      decisions->drain(request, reply);
                  }});
    commands.add({.name = "enable",
                  .usage = "enable POOL/SERVER, or enable self",
                  .about = "ends drain and disable",
                  .least_words = 1,
                  .most_words = 1,
                  .options = {},
                  .changes = true,
                  .run = [environment, decisions](const Request& request, const ReplyPtr& reply) {
                      if (request.words[0] == kSelf) return enable_self(environment, reply);
                      decisions->enable(request, reply);
                  }});
}

void add_decisions(CommandTable& commands, const std::shared_ptr<DecisionCommands>& decisions) {
    const auto running = [&decisions](Run run) {
        return [decisions, run](const Request& request, const ReplyPtr& reply) {
            ((*decisions).*run)(request, reply);
        };
    };
    commands.add({.name = "disable",
                  .usage = "disable POOL/SERVER [reason=TEXT] [ttl=1h]",
                  .about = "as drain, and it is not probed",
                  .least_words = 1,
                  .most_words = 1,
                  .options = {"reason", "ttl"},
                  .changes = true,
                  .run = running(&DecisionCommands::disable)});
    commands.add({.name = "weight",
                  .usage = "weight POOL/SERVER N|default [reason=TEXT] [ttl=1h]",
                  .about = "its share of the requests",
                  .least_words = 2,
                  .most_words = 2,
                  .options = {"reason", "ttl"},
                  .changes = true,
                  .run = running(&DecisionCommands::weight)});
    commands.add({.name = "only",
                  .usage = "only POOL/SERVER [reason=TEXT] [ttl=1h], or only POOL off",
                  .about = "all of a pool's requests to one server, and back",
                  .least_words = 1,
                  .most_words = 2,
                  .options = {"reason", "ttl"},
                  .changes = true,
                  .run = running(&DecisionCommands::only)});
    commands.add({.name = "maintenance",
                  .usage = "maintenance POOL on|off [reason=TEXT] [ttl=1h]",
                  .about = "503 with the maintenance page for every request of the pool",
                  .least_words = 2,
                  .most_words = 2,
                  .options = {"reason", "ttl"},
                  .changes = true,
                  .run = running(&DecisionCommands::maintenance)});
}

void add_stop(CommandTable& commands, const CommandEnvironment& environment) {
    commands.add({.name = "stop",
                  .usage = "stop",
                  .about = "as SIGTERM: requests in flight may finish",
                  .options = {},
                  .changes = true,
                  .run = [environment](const Request&, const ReplyPtr& reply) {
                      reply->done({{"stopping", true}});
                      environment.engine.stop();
                  }});
}

}  // namespace

void add_commands(CommandTable& commands, const CommandEnvironment& environment) {
    const auto decisions = std::make_shared<DecisionCommands>(environment);
    environment.overlay.on_end([weak = std::weak_ptr(decisions)](const Ended& ended) {
        if (const auto alive = weak.lock()) alive->on_end(ended);
    });
    add_telling(commands, environment);
    add_out_and_in(commands, environment, decisions);
    add_decisions(commands, decisions);
    add_stop(commands, environment);
}

}  // namespace palier::control
