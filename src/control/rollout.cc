#include "palier/control/rollout.h"

#include "control/rollout_run.h"
#include "control/stamp.h"
#include "control/targets.h"
#include "palier/base/buffer.h"
#include "palier/base/log.h"
#include "palier/config/nearest.h"
#include "palier/tls/transport.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

using nlohmann::json;

constexpr std::size_t kScratch = 64 * 1024;  // bytes, for what warm-up requests are answered
constexpr std::array<std::string_view, 3> kVerbs{"status", "resume", "abort"};
constexpr std::string_view kUsage =
    "rollout POOL run=\"…\" [undo=\"…\"] [shell=true] [batch=1] [min_available=1] [wait=30s] [timeout=10m] "
    "[warm=\"/path1,/path2\"] [warm_host=…] [warm_timeout=30s] [soak=10s] [tunnels=wait|close] "
    "[servers=\"front1,front2\"] [reason=…] [by=…], or rollout POOL resume|abort|status";

/// What is wrong with its words, or with options that these do not take; "": nothing.
std::string fault_of(const Request& request) {
    if (request.words.size() == 1) {
        if (request.has("run")) return {};
        return fmt::format(
            "say what is to be run for each server: rollout {0} run=\"deploy.sh {{server}}\"; or one of: "
            "rollout {0} status, resume, abort",
            request.words[0]);
    }
    const std::string& verb = request.words[1];
    if (std::ranges::find(kVerbs, verb) == kVerbs.end()) {
        return fmt::format("rollout POOL knows status, resume and abort, not \"{}\"{}", verb,
                           config::suggestion(verb, kVerbs));
    }
    for (const auto& [key, value] : request.options) {
        if (key != "by" && key != "reason")
            return fmt::format("{} takes no {}=: what was asked for when the roll-out began holds", verb,
                               key);
    }
    return {};
}

}  // namespace

struct Rollouts::State {
    State(Engine& its_engine, Overlay& its_overlay, Events& its_events, net::Loop& its_loop,
          std::uint64_t kill_after_ms)
        : events(its_events),
          scratch(new char[kScratch]),
          tls(buffers),
          ground{
              its_engine, its_overlay, its_loop, {its_loop, tls, {scratch.get(), kScratch}}, kill_after_ms} {}

    void run(const Request& request, std::shared_ptr<Reply> reply);
    void begin(const config::PoolConfig& pool, const Request& request, std::shared_ptr<Reply> reply);
    void resume(const config::PoolConfig& pool, const Request& request, std::shared_ptr<Reply> reply);
    void abort(const std::string& pool, std::shared_ptr<Reply> reply);
    void start(RolloutRun::Plan plan, std::shared_ptr<Reply> reply);

    [[nodiscard]] json status(const std::string& pool) const;

    Events& events;
    std::unique_ptr<char[]> scratch;
    base::BufferCache buffers;
    tls::Workspace tls;
    RolloutGround ground;
    std::map<std::string, std::unique_ptr<RolloutRun>> runs;  // by pool
    bool stopping = false;
};

void Rollouts::State::run(const Request& request, std::shared_ptr<Reply> reply) {
    const std::string& name = request.words.front();
    const auto pool = find_pool(ground.engine.snapshot(), name);
    // A roll-out of a pool that has left the configuration can still be looked at and ended.
    const bool has_rollout = runs.contains(name) || !ground.overlay.rollout(name).is_null();
    if (!pool && !has_rollout) {
        reply->fail(pool.error().message);
        return;
    }
    if (const std::string fault = fault_of(request); !fault.empty()) {
        reply->fail(fault);
        return;
    }
    const std::string_view verb = request.words.size() > 1 ? std::string_view(request.words[1]) : "";
    if (verb == "status") {
        reply->done(status(name));
    } else if (verb == "abort" && !stopping) {
        abort(name, std::move(reply));
    } else if (stopping) {
        reply->fail("palier is about to stop");
    } else if (const auto at = runs.find(name); at != runs.end()) {
        reply->fail(fmt::format("a roll-out of {0} is under way ({1}); `rollout {0} abort` ends it", name,
                                at->second->record().place()));
    } else if (!pool) {
        reply->fail(fmt::format(
            "pool {0} has left the configuration; `rollout {0} abort` forgets its roll-out", name));
    } else if (verb == "resume") {
        resume((*pool)->config, request, std::move(reply));
    } else {
        begin((*pool)->config, request, std::move(reply));
    }
}

void Rollouts::State::begin(const config::PoolConfig& pool, const Request& request,
                            std::shared_ptr<Reply> reply) {
    if (const json kept = status(pool.name); kept["state"] != "none") {
        reply->fail(
            fmt::format("an earlier roll-out of {0} has not ended; `rollout {0} resume` goes on with it, "
                        "`rollout {0} abort` forgets it",
                        pool.name),
            kept);
        return;
    }
    RolloutRun::Plan plan{.pool = pool.name, .options = {}, .record = {}, .stamp = {}};
    plan.record.options = request.options;
    auto options = parse_rollout_options(plan.record.options, pool);
    if (!options) {
        reply->fail(options.error().message);
        return;
    }
    plan.options = std::move(*options);
    plan.record.order = plan.options.servers;
    if (plan.record.order.empty()) {
        for (const config::ServerConfig& server : pool.servers)
            plan.record.order.push_back(server.name);
    }
    plan.record.uid = request.peer.uid;
    plan.record.pid = request.peer.pid;
    plan.record.started_ms = wall_ms();
    start(std::move(plan), std::move(reply));
}

void Rollouts::State::resume(const config::PoolConfig& pool, const Request& request,
                             std::shared_ptr<Reply> reply) {
    const json kept = ground.overlay.rollout(pool.name);
    if (kept.is_null()) {
        reply->fail(fmt::format("there is no roll-out of {} to go on with", pool.name));
        return;
    }
    auto record = RolloutRecord::from_json(kept);
    auto options = record ? parse_rollout_options(record->options) : std::unexpected(record.error());
    if (!options) {
        reply->fail(fmt::format("{}; `rollout {} abort` forgets it", options.error().message, pool.name));
        return;
    }
    for (const auto& [server, at] : record->at) {
        if (at.hook != 0 && birth_of_process(at.hook) == at.hook_born) {
            reply->fail(
                fmt::format("the hook of {} that was interrupted still runs: process {}", server, at.hook));
            return;
        }
    }
    record->failed.clear();
    record->stopped.clear();
    record->uid = request.peer.uid;
    record->pid = request.peer.pid;
    for (const auto& [key, value] : request.options)
        record->options[key] = value;
    options->by = request.has("by") ? request.option("by") : options->by;
    options->reason = request.has("reason") ? request.option("reason") : options->reason;
    start({pool.name, std::move(*options), std::move(*record), {}}, std::move(reply));
}

void Rollouts::State::start(RolloutRun::Plan plan, std::shared_ptr<Reply> reply) {
    const std::string& reason = plan.options.reason;
    plan.stamp = {.uid = plan.record.uid,
                  .pid = plan.record.pid,
                  .by = plan.options.by,
                  .reason = reason.empty() ? "roll-out" : "roll-out: " + reason,
                  .at_ms = wall_ms(),
                  .until_ms = std::nullopt};
    const std::string pool = plan.pool;
    auto run = std::make_unique<RolloutRun>(ground, events, std::move(plan), std::move(reply),
                                            [this](RolloutRun& over) {
                                                const auto ended = runs.find(over.pool());
                                                ground.loop.defer_delete(std::move(ended->second));
                                                runs.erase(ended);
                                            });
    RolloutRun& started = *(runs[pool] = std::move(run));
    started.start();
}

void Rollouts::State::abort(const std::string& pool, std::shared_ptr<Reply> reply) {
    if (const auto found = runs.find(pool); found != runs.end()) {
        found->second->abort(std::move(reply));
        return;
    }
    json standing = status(pool);
    if (standing["state"] == "none") {
        reply->fail(fmt::format("there is no roll-out of {} to abort", pool));
        return;
    }
    const std::string unkept = ground.overlay.set_rollout(pool, nullptr);
    standing["state"] = "aborted";
    if (!unkept.empty()) standing["warning"] = "not kept: " + unkept;
    events.tell({{"event", "rollout"},
                 {"pool", pool},
                 {"server", ""},
                 {"step", "aborted"},
                 {"detail", "an interrupted roll-out is forgotten"}});
    reply->done(standing);
}

json Rollouts::State::status(const std::string& pool) const {
    const auto described = [&](std::string_view state, const RolloutRecord& record) {
        json result = record.standing();
        result["pool"] = pool;
        result["state"] = state;
        if (!record.stopped.empty()) result["why"] = record.stopped;
        return result;
    };
    if (const auto found = runs.find(pool); found != runs.end())
        return described("running", found->second->record());
    const json kept = ground.overlay.rollout(pool);
    if (kept.is_null()) return {{"pool", pool}, {"state", "none"}};
    const auto record = RolloutRecord::from_json(kept);
    if (!record) return {{"pool", pool}, {"state", "unreadable"}, {"why", record.error().message}};
    return described(record->stopped.empty() ? "interrupted" : "stopped", *record);
}

Rollouts::Rollouts(Engine& engine, Overlay& overlay, Events& events, net::Loop& loop,
                   std::uint64_t kill_after_ms)
    : state_(std::make_unique<State>(engine, overlay, events, loop, kill_after_ms)) {}

Rollouts::~Rollouts() {
    for (auto& [pool, run] : state_->runs) {
        run->drop();
        run.reset();
    }
}

void Rollouts::add_commands(CommandTable& commands) {
    commands.add({.name = "rollout",
                  .usage = std::string(kUsage),
                  .about = "update a pool's servers one after another",
                  .least_words = 1,
                  .most_words = 2,
                  .options = rollout_option_keys(),
                  .changes = true,
                  .run = [state = state_.get()](const Request& request, std::shared_ptr<Reply> reply) {
                      state->run(request, std::move(reply));
                  }});
}

void Rollouts::report() const {
    for (const config::PoolConfig& pool : state_->ground.engine.snapshot().config->pools) {
        const json kept = state_->ground.overlay.rollout(pool.name);
        if (kept.is_null()) continue;
        const auto record = RolloutRecord::from_json(kept);
        const std::string what = !record ? record.error().message
                                 : record->stopped.empty()
                                     ? fmt::format("was interrupted at {}", record->place())
                                     : fmt::format("has stopped at {}", record->stopped);
        base::log_warning(
            "the roll-out of {0} {1}; `rollout {0} resume` goes on with it, `rollout {0} abort` forgets it",
            pool.name, what);
    }
}

std::string Rollouts::under_way() const {
    if (state_->runs.empty()) return {};
    const auto& [pool, run] = *state_->runs.begin();
    return fmt::format("a roll-out of {} is under way ({})", pool, run->record().place());
}

json Rollouts::status(const std::string& pool) const {
    return state_->status(pool);
}

void Rollouts::stop() {
    state_->stopping = true;
    for (const auto& [pool, run] : state_->runs)
        run->drop();
}

}  // namespace palier::control
