#include "control/decision_commands.h"

#include "control/request_options.h"
#include "palier/config/units.h"
#include "palier/pool/standing.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint32_t kHeaviest = 65'535;

base::Result<std::optional<std::uint32_t>> parse_weight(std::string_view text) {
    if (text == "default") return std::nullopt;
    std::uint32_t weight = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
    if (error == std::errc{} && end == text.data() + text.size() && weight <= kHeaviest) return weight;
    return base::failure(
        fmt::format("a weight is a number from 0 to {}, or \"default\" for the configuration's, not \"{}\"",
                    kHeaviest, text));
}

/// tunnels=wait|close: whether to cut them.
base::Result<bool> parse_tunnels(const Request& request) {
    const std::string_view tunnels = request.option("tunnels");
    if (!request.has("tunnels") || tunnels == "wait") return false;
    if (tunnels == "close") return true;
    return base::failure(fmt::format("tunnels must be \"wait\" or \"close\", not \"{}\"", tunnels));
}

bool out_of_work(pool::Admin admin) {
    return admin == pool::Admin::drained || admin == pool::Admin::disabled;
}

nlohmann::json result_of(const std::string& unsaved) {
    nlohmann::json result = nlohmann::json::object();
    if (!unsaved.empty()) add_warning(result, "not saved: " + unsaved);
    return result;
}

}  // namespace

void add_warning(nlohmann::json& result, std::string_view warning) {
    if (warning.empty()) return;
    const std::string before = result.value("warning", "");
    result["warning"] = before.empty() ? std::string(warning) : fmt::format("{}; {}", before, warning);
}

void DecisionCommands::drain(const Request& request, const ReplyPtr& reply) {
    auto stamp = stamp_of(request);
    if (!stamp) return reply->fail(stamp.error().message);
    const auto wait = duration_option(request, "wait", config::kLongest);
    if (!wait) return reply->fail(wait.error().message);
    const auto cut_tunnels = parse_tunnels(request);
    if (!cut_tunnels) return reply->fail(cut_tunnels.error().message);
    const auto target = find_server(engine_.snapshot(), request.words[0]);
    if (!target) return reply->fail(target.error().message);

    const ServerName name{target->pool->config.name, target->server};
    const std::string unsaved =
        overlay_.set_admin(name.pool, name.server, pool::Admin::drained, std::move(*stamp));
    publish(name, unsaved, reply,
            [self = shared_from_this(), name, reply, wait = *wait, cut = *cut_tunnels](
                const Target& now, nlohmann::json result) {
                add_warning(result, lack_of_servers(*now.pool, self->loop_.now_ms()));
                self->close_connections(now, cut, [self, name, now, reply, wait, cut, result] {
                    nlohmann::json last = result;
                    last.update(self->report(now));
                    if (!wait) return reply->done(std::move(last));
                    self->waits_.add({.server = name,
                                      .states = now.states(),
                                      .time = *wait,
                                      .cut_tunnels = cut,
                                      .result = std::move(last),
                                      .reply = reply});
                });
            });
}

void DecisionCommands::disable(const Request& request, const ReplyPtr& reply) {
    auto stamp = stamp_of(request);
    if (!stamp) return reply->fail(stamp.error().message);
    const auto target = find_server(engine_.snapshot(), request.words[0]);
    if (!target) return reply->fail(target.error().message);
    const ServerName name{target->pool->config.name, target->server};
    const std::string unsaved =
        overlay_.set_admin(name.pool, name.server, pool::Admin::disabled, std::move(*stamp));
    publish(name, unsaved, reply,
            [self = shared_from_this(), reply](const Target& now, nlohmann::json result) {
                add_warning(result, lack_of_servers(*now.pool, self->loop_.now_ms()));
                self->close_connections(now, false, [self, now, reply, result] {
                    nlohmann::json last = result;
                    last.update(self->report(now));
                    reply->done(std::move(last));
                });
            });
}

void DecisionCommands::enable(const Request& request, const ReplyPtr& reply) {
    auto stamp = stamp_of(request);
    if (!stamp) return reply->fail(stamp.error().message);
    const auto name = parse_server_name(request.words[0]);
    if (!name) return reply->fail(name.error().message);
    const auto target = find_server(engine_.snapshot(), *name);
    if (!target) {
        if (!forget(*name, true, *stamp, reply)) reply->fail(target.error().message);
        return;
    }
    const std::string unsaved =
        overlay_.set_admin(name->pool, name->server, pool::Admin::enabled, std::move(*stamp));
    publish(*name, unsaved, reply,
            [self = shared_from_this(), reply](const Target& now, nlohmann::json result) {
                const bool active = std::ranges::any_of(now.addresses, [](const pool::Server* server) {
                    return server->role == config::Role::active;
                });
                if (active) pool::fail_back(*now.pool->state);
                result.update(self->report(now));
                reply->done(std::move(result));
            });
}

void DecisionCommands::weight(const Request& request, const ReplyPtr& reply) {
    auto stamp = stamp_of(request);
    if (!stamp) return reply->fail(stamp.error().message);
    const auto weight = parse_weight(request.words[1]);
    if (!weight) return reply->fail(weight.error().message);
    const auto name = parse_server_name(request.words[0]);
    if (!name) return reply->fail(name.error().message);
    const auto target = find_server(engine_.snapshot(), *name);
    if (!target) {
        if (*weight || !forget(*name, false, *stamp, reply)) reply->fail(target.error().message);
        return;
    }
    const std::string unsaved = overlay_.set_weight(name->pool, name->server, *weight, std::move(*stamp));
    publish(*name, unsaved, reply,
            [self = shared_from_this(), reply](const Target& now, nlohmann::json result) {
                add_warning(result, lack_of_servers(*now.pool, self->loop_.now_ms()));
                result.update(self->report(now));
                reply->done(std::move(result));
            });
}

void DecisionCommands::only(const Request& request, const ReplyPtr& reply) {
    auto stamp = stamp_of(request);
    if (!stamp) return reply->fail(stamp.error().message);
    if (request.words.size() == 2) {
        if (request.words[1] != "off")
            return reply->fail(
                fmt::format("only POOL/SERVER, or only POOL off; not \"{}\"", request.words[1]));
        return only_off(request.words[0], *stamp, reply);
    }
    const auto target = find_server(engine_.snapshot(), request.words[0]);
    if (!target) return reply->fail(target.error().message);
    const pool::Admin admin = permit_of(*target, overlay_.decisions()).admin;
    if (out_of_work(admin))
        return reply->fail(fmt::format("{} is {}, and would get nothing: enable it first", target->name(),
                                       pool::text_of(admin)));
    const std::string& pool = target->pool->config.name;
    publish_pool(pool, overlay_.set_only(pool, target->server, std::move(*stamp)), reply,
                 {{"pool", pool}, {"only", target->server}}, true);
}

void DecisionCommands::only_off(const std::string& pool, const Stamp& stamp, const ReplyPtr& reply) {
    const auto found = find_pool(engine_.snapshot(), pool);
    if (!found && overlay_.entries(pool).empty()) return reply->fail(found.error().message);
    publish_pool(pool, overlay_.set_only(pool, "", stamp), reply, {{"pool", pool}, {"only", ""}}, true);
}

void DecisionCommands::maintenance(const Request& request, const ReplyPtr& reply) {
    auto stamp = stamp_of(request);
    if (!stamp) return reply->fail(stamp.error().message);
    const std::string& pool = request.words[0];
    const bool on = request.words[1] == "on";
    if (!on && request.words[1] != "off")
        return reply->fail(fmt::format("maintenance is \"on\" or \"off\", not \"{}\"", request.words[1]));
    const auto found = find_pool(engine_.snapshot(), pool);
    if (!found && (on || overlay_.entries(pool).empty())) return reply->fail(found.error().message);
    publish_pool(pool, overlay_.set_maintenance(pool, on, std::move(*stamp)), reply,
                 {{"pool", pool}, {"maintenance", on}}, false);
}

void DecisionCommands::publish(const ServerName& name, const std::string& unsaved, const ReplyPtr& reply,
                               InForce in_force) {
    engine_.republish([self = shared_from_this(), name, unsaved, reply, in_force = std::move(in_force)] {
        nlohmann::json result = result_of(unsaved);
        const auto target = find_server(self->engine_.snapshot(), name);
        if (target) return in_force(*target, std::move(result));
        // A reload came between.
        result["server"] = fmt::format("{}/{}", name.pool, name.server);
        add_warning(result, target.error().message);
        reply->done(std::move(result));
    });
}

void DecisionCommands::publish_pool(const std::string& pool, const std::string& unsaved,
                                    const ReplyPtr& reply, nlohmann::json result, bool warn_of_lack) {
    result.update(result_of(unsaved));
    engine_.republish([self = shared_from_this(), pool, reply, result = std::move(result), warn_of_lack] {
        nlohmann::json last = result;
        const auto found = find_pool(self->engine_.snapshot(), pool);
        if (!found) {
            add_warning(last, found.error().message);
        } else if (warn_of_lack) {
            add_warning(last, lack_of_servers(**found, self->loop_.now_ms()));
        }
        reply->done(std::move(last));
    });
}

bool DecisionCommands::forget(const ServerName& name, bool admin, const Stamp& stamp, const ReplyPtr& reply) {
    if (overlay_.entries(name.pool, name.server).empty()) return false;
    nlohmann::json result =
        result_of(admin ? overlay_.set_admin(name.pool, name.server, pool::Admin::enabled, stamp)
                        : overlay_.set_weight(name.pool, name.server, std::nullopt, stamp));
    result["server"] = fmt::format("{}/{}", name.pool, name.server);
    add_warning(result, "it is not configured; what was kept aside for it is forgotten");
    reply->done(std::move(result));
    return true;
}

void DecisionCommands::close_connections(const Target& target, bool tunnels, std::function<void()> done) {
    const auto states = target.states();
    if (states.empty()) return done();
    const auto left = std::make_shared<std::size_t>(states.size());
    for (const auto& state : states) {
        engine_.close_connections(state, tunnels, [left, done] {
            if (--*left == 0) done();
        });
    }
}

void DecisionCommands::on_end(const Ended& ended) {
    nlohmann::json event{{"event", "ended"}, {"what", ended.entry.what}};
    if (ended.server.empty()) {
        event["pool"] = ended.pool;
    } else {
        event["server"] = fmt::format("{}/{}", ended.pool, ended.server);
    }
    events_.tell(std::move(event));
}

nlohmann::json DecisionCommands::report(const Target& target) const {
    const Load load = load_of(target.states());
    const Permit permit = permit_of(target, overlay_.decisions());
    return {{"server", target.name()},
            {"admin", pool::text_of(permit.admin)},
            {"weight", permit.weight},
            {"in_flight", load.in_flight},
            {"tunnels", load.tunnels}};
}

}  // namespace palier::control
