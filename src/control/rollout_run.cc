#include "control/rollout_run.h"

#include "control/stamp.h"
#include "palier/base/log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

using nlohmann::json;

const config::PoolConfig* find_pool(const proxy::Snapshot& snapshot, const std::string& name) {
    const auto found = std::ranges::find(snapshot.config->pools, name, &config::PoolConfig::name);
    return found == snapshot.config->pools.end() ? nullptr : &*found;
}

const config::ServerConfig* find_server(const proxy::Snapshot& snapshot, const std::string& pool,
                                        const std::string& name) {
    const config::PoolConfig* in = find_pool(snapshot, pool);
    if (in == nullptr) return nullptr;
    const auto found = std::ranges::find(in->servers, name, &config::ServerConfig::name);
    return found == in->servers.end() ? nullptr : &*found;
}

}  // namespace

RolloutRun::RolloutRun(RolloutGround& ground, Events& events, Plan plan, std::shared_ptr<Reply> reply,
                       std::function<void(RolloutRun&)> on_over)
    : ground_(ground),
      events_(events),
      plan_(std::move(plan)),
      reply_(std::move(reply)),
      on_over_(std::move(on_over)),
      started_ms_(ground.loop.now_ms()),
      life_(std::make_shared<const char>('\0')) {}

void RolloutRun::start() {
    base::log_info("roll-out of {}: {} by uid {} pid {}{}", plan_.pool, fmt::join(plan_.record.order, ", "),
                   plan_.stamp.uid, plan_.stamp.pid,
                   plan_.stamp.by.empty() ? "" : " (" + plan_.stamp.by + ")");
    reply_->on_gone([this, life = std::weak_ptr(life_)] {
        if (life.expired()) return;
        base::log_info("roll-out of {} goes on although the client that began it has gone", plan_.pool);
        reply_.reset();
    });
    begin_batch();
}

void RolloutRun::begin_batch() {
    const std::vector<std::string> batch = next_batch();
    if (batch.empty()) {
        finish();
        return;
    }
    active_ = batch.size();
    for (const std::string& name : batch)
        begin_server(name, batch);
}

std::vector<std::string> RolloutRun::next_batch() {
    std::vector<std::string> batch;
    RolloutRecord& record = plan_.record;
    for (const std::string& name : record.order) {
        if (batch.size() == plan_.options.batch) break;
        if (record.is_done(name) || record.skipped.contains(name)) continue;
        if (const std::string why = reason_to_skip(name); !why.empty()) {
            record.skipped[name] = why;
            record.at.erase(name);
            tell(name, "skipped", why);
        } else {
            batch.push_back(name);
        }
    }
    return batch;
}

std::string RolloutRun::reason_to_skip(const std::string& name) const {
    if (find_server(ground_.engine.snapshot(), plan_.pool, name) == nullptr) return "not configured any more";
    const auto& decisions = ground_.overlay.decisions();
    const auto pool = decisions.find(plan_.pool);
    if (pool == decisions.end()) return {};
    const auto server = pool->second.servers.find(name);
    if (server == pool->second.servers.end() || server->second.admin == pool::Admin::enabled) return {};
    if (server->second.admin == pool::Admin::disabled) return "disabled";
    const auto at = plan_.record.at.find(name);
    return at != plan_.record.at.end() && at->second.drained ? "" : "drained by an operator";
}

void RolloutRun::begin_server(const std::string& name, const std::vector<std::string>& batch) {
    const config::ServerConfig& config = *find_server(ground_.engine.snapshot(), plan_.pool, name);
    RolloutServer::Callbacks callbacks{
        .on_step = [this](const RolloutServer& server, std::string_view detail) { on_step(server, detail); },
        .on_hook = [this](const RolloutServer& server) { note(server); },
        .on_line = [this](const RolloutServer& server, net::Process::Stream stream,
                          std::string_view line) { on_line(server, stream, line); },
        .on_end = [this](const RolloutServer& server,
                         const RolloutServer::End& end) { on_end(server, end); }};
    servers_.push_back(std::make_unique<RolloutServer>(
        ground_, plan_.options,
        RolloutServer::Task{{plan_.pool, name, config.address(), config.node}, batch, plan_.stamp},
        std::move(callbacks)));
    RolloutServer& server = *servers_.back();
    server.start();
    plan_.record.at[name] = {.step = std::string(text_of(server.step())), .drained = server.drained()};
    keep(plan_.record.to_json());
}

void RolloutRun::on_step(const RolloutServer& server, std::string_view detail) {
    note(server);
    tell(server.name(), text_of(server.step()), detail);
}

void RolloutRun::note(const RolloutServer& server) {
    RolloutRecord::At& at = plan_.record.at[server.name()];
    at.step = text_of(server.step());
    at.drained = server.drained();
    if (at.hook != server.hook_pid()) {
        at.hook = server.hook_pid();
        at.hook_born = at.hook == 0 ? "" : birth_of_process(at.hook);
    }
    keep(plan_.record.to_json());
}

void RolloutRun::on_line(const RolloutServer& server, net::Process::Stream stream, std::string_view line) {
    const json event = {{"event", "output"},
                        {"pool", plan_.pool},
                        {"server", server.name()},
                        {"stream", stream == net::Process::Stream::out ? "stdout" : "stderr"},
                        {"line", line}};
    if (reply_) reply_->event(event);
    if (events_.followed()) events_.tell(event);
}

void RolloutRun::on_end(const RolloutServer& server, const RolloutServer::End& end) {
    note_end(server.name(), end);
    if (--active_ > 0) {
        keep(plan_.record.to_json());
    } else if (!abort_replies_.empty()) {
        finish_aborted();
    } else if (!plan_.record.failed.empty()) {
        stop_after_failure();
    } else {
        keep(plan_.record.to_json());
        begin_batch();
    }
}

void RolloutRun::note_end(const std::string& name, const RolloutServer::End& end) {
    using Outcome = RolloutServer::Outcome;
    RolloutRecord& record = plan_.record;
    if (end.outcome == Outcome::done) {
        record.at.erase(name);
        record.done.push_back(name);
        tell(name, "done", "");
        return;
    }
    if (end.drained || end.touched) {
        record.at[name] = {.step = end.step, .drained = end.drained};
    } else {
        record.at.erase(name);
    }
    const std::string_view standing = end.drained                         ? "; it is left drained"
                                      : end.outcome == Outcome::untouched ? "; nothing was changed on it"
                                                                          : "";
    const std::string undone = end.undo.empty() ? "" : "; undo: " + end.undo;
    if (end.outcome != Outcome::aborted) record.failed.push_back({name, end.step, end.why, end.undo});
    tell(name, end.outcome == Outcome::aborted ? "aborted" : "failed",
         fmt::format("{}: {}{}{}", end.step, end.why, undone, standing));
}

void RolloutRun::finish() {
    const double seconds = static_cast<double>(ground_.loop.now_ms() - started_ms_) / 1000;
    const RolloutRecord& record = plan_.record;
    keep(nullptr);
    tell("", "finished",
         fmt::format("{} done, {} skipped, in {:.1f} s", record.done.size(), record.skipped.size(), seconds));
    json result = summary();
    result["seconds"] = seconds;
    if (reply_) reply_->done(result);
    on_over_(*this);
}

void RolloutRun::stop_after_failure() {
    RolloutRecord& record = plan_.record;
    const RolloutRecord::Failure& first = record.failed.front();
    record.stopped = fmt::format("{}, step {}: {}", first.server, first.step, first.why);
    const bool nothing_done = record.done.empty() && record.at.empty();
    const std::string next = nothing_done ? std::string("nothing was changed on any server") : advice();
    keep(nothing_done ? json() : record.to_json());
    const std::string error = fmt::format("the roll-out of {} stopped at {}", plan_.pool, record.stopped);
    base::log_warning("{}; {}", error, next);
    tell("", "stopped", fmt::format("{}; {}", record.stopped, next));
    json more = summary();
    more["next"] = next;
    if (reply_) reply_->fail(error, more);
    on_over_(*this);
}

void RolloutRun::finish_aborted() {
    const std::vector<std::string> drained = plan_.record.drained();
    keep(nullptr);
    const std::string standing = drained.empty() ? "no server is left drained"
                                                 : fmt::format("left drained: {}", fmt::join(drained, ", "));
    tell("", "aborted", standing);
    if (reply_) {
        reply_->fail(fmt::format("the roll-out of {} was aborted; {}", plan_.pool, standing), summary());
    }
    for (const auto& reply : abort_replies_)
        reply->done(summary());
    on_over_(*this);
}

/// What there is to do after a failure.
std::string RolloutRun::advice() const {
    const std::vector<std::string> drained = plan_.record.drained();
    const std::string commands =
        fmt::format("`rollout {0} resume` {1}, `rollout {0} abort` forgets the roll-out", plan_.pool,
                    drained.empty() ? "goes on" : "begins again with it");
    if (drained.empty()) return commands;
    std::vector<std::string> enabling;
    for (const std::string& server : drained)
        enabling.push_back(fmt::format("`enable {}/{}`", plan_.pool, server));
    return fmt::format("{} {} left drained: {}, then {} puts it back as it is", fmt::join(drained, ", "),
                       drained.size() == 1 ? "is" : "are", commands, fmt::join(enabling, ", "));
}

void RolloutRun::abort(std::shared_ptr<Reply> reply) {
    abort_replies_.push_back(std::move(reply));
    if (abort_replies_.size() > 1) return;
    // A server that ends at once may end the run, which lives on until the turn is over.
    const std::size_t all = servers_.size();
    for (std::size_t i = 0; i < all; ++i)
        servers_[i]->abort();
}

void RolloutRun::drop() {
    life_.reset();
    reply_.reset();
    abort_replies_.clear();
    for (const auto& server : servers_)
        server->drop();
}

/// Null: there is none any more.
void RolloutRun::keep(const json& record) {
    if (!record.is_null()) {
        if (kept_ == plan_.record) return;
        kept_ = plan_.record;
    }
    const std::string unkept = ground_.overlay.set_rollout(plan_.pool, record);
    if (!unkept.empty() && unkept_.empty()) {
        tell("", "unkept", fmt::format("its progress cannot be kept: {}", unkept));
        base::log_warning("roll-out of {}: its progress cannot be kept: {}", plan_.pool, unkept);
    }
    unkept_ = unkept;
}

void RolloutRun::tell(std::string_view server, std::string_view step, std::string_view detail) {
    base::log_info("roll-out of {}: {}{}{}{}{}", plan_.pool, server, server.empty() ? "" : ", ", step,
                   detail.empty() ? "" : ": ", detail);
    const json event = {
        {"event", "rollout"}, {"pool", plan_.pool}, {"server", server}, {"step", step}, {"detail", detail}};
    if (reply_) reply_->event(event);
    events_.tell(event);
}

json RolloutRun::summary() const {
    json result = plan_.record.standing();
    result["pool"] = plan_.pool;
    return result;
}

}  // namespace palier::control
