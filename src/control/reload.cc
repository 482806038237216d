#include "palier/control/reload.h"

#include "palier/base/log.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

namespace palier::control {
namespace {

constexpr std::size_t kMostWaiting = 16;    // reloads; there is no point in more
constexpr std::size_t kMostListed = 1'000;  // changes of a kind in a reply
constexpr std::size_t kMostLogged = 50;
constexpr int kNiceness = 5;  // of loading: workers go first

/// The first ones, and how many there are beside them.
std::vector<std::string> shortened(const std::vector<std::string>& all, std::size_t most) {
    if (all.size() <= most) return all;
    std::vector<std::string> some(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(most));
    some.push_back(fmt::format("and {} more", all.size() - most));
    return some;
}

nlohmann::json changes_of(const Difference& difference) {
    return {{"added", shortened(difference.added, kMostListed)},
            {"changed", shortened(difference.changed, kMostListed)},
            {"removed", shortened(difference.removed, kMostListed)},
            {"needs_restart", shortened(difference.needs_restart, kMostListed)}};
}

void log_changes(std::string_view what, const std::vector<std::string>& changes) {
    for (const std::string& change : shortened(changes, kMostLogged))
        base::log_info("reload: {}: {}", what, change);
}

/// Signals are the control thread's: a thread inherits the mask it is started under.
std::thread unsignalled(std::function<void()> work) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(work));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

}  // namespace

Reload::~Reload() {
    if (thread_.joinable()) thread_.join();
}

void Reload::start(bool dry_run, std::shared_ptr<Reply> reply) {
    // One that waits will load the file as it is now.
    const auto signalled = [](const Job& job) { return !job.dry_run && job.reply == nullptr; };
    if (reply == nullptr && std::ranges::any_of(waiting_, signalled)) return;
    if (waiting_.size() >= kMostWaiting) {
        if (reply) reply->fail("too many reloads are waiting already");
        return;
    }
    Job& job = waiting_.emplace_back();
    job.dry_run = dry_run;
    job.reply = std::move(reply);
    if (!busy_) begin();
}

void Reload::begin() {
    busy_ = true;
    job_ = std::move(waiting_.front());
    waiting_.pop_front();
    auto loader = subject_.loader();
    if (!loader) {
        refuse({loader.error().message});
        return;
    }
    thread_ = unsignalled([this, load = std::move(*loader)] {
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
        auto loaded = std::make_shared<Loaded>(load());
        mailbox_.post([this, loaded = std::move(loaded)] { on_loaded(std::move(*loaded)); });
    });
}

void Reload::on_loaded(Loaded loaded) {
    thread_.join();
    if (!loaded) {
        refuse(loaded.error());
        return;
    }
    auto prepared = subject_.prepare(std::move(*loaded), job_.dry_run);
    if (!prepared) {
        refuse({prepared.error().message});
        return;
    }
    job_.difference = std::move(*prepared);
    subject_.count_closed([this](std::uint64_t closes) { on_counted(closes); });
}

void Reload::on_counted(std::uint64_t closes) {
    job_.closes = closes;
    if (job_.dry_run) {
        job_.generation = subject_.drop();
        report();
        return;
    }
    subject_.commit([this](const base::Result<std::uint64_t>& generation) {
        if (!generation) {
            refuse({generation.error().message});
            return;
        }
        job_.generation = *generation;
        report();
    });
}

/// Nothing has changed.
void Reload::refuse(const std::vector<std::string>& errors) {
    const std::string_view what = job_.dry_run ? "reload (dry run)" : "reload";
    for (const std::string& error : shortened(errors, kMostLogged))
        base::log_error("{}: {}", what, error);
    base::log_error("{}: nothing has changed", what);
    if (job_.reply) {
        const std::string error = errors.size() == 1
                                      ? errors.front()
                                      : fmt::format("{} mistakes; nothing has changed", errors.size());
        job_.reply->fail(error, {{"errors", errors}});
    }
    end();
}

void Reload::report() {
    const Difference& found = job_.difference;
    nlohmann::json told{{"changes", changes_of(found)},
                        {"closes", job_.closes},
                        {"dry_run", job_.dry_run},
                        {"generation", job_.generation}};
    if (!job_.dry_run) {
        log_changes("added", found.added);
        log_changes("changed", found.changed);
        log_changes("removed", found.removed);
        log_changes("needs a restart or an upgrade", found.needs_restart);
        base::log_info("reloaded: {} added, {} changed, {} removed; generation {}", found.added.size(),
                       found.changed.size(), found.removed.size(), job_.generation);
        nlohmann::json event = told;
        event["event"] = "reload";
        events_.tell(std::move(event));
    }
    if (job_.reply) job_.reply->done(std::move(told));
    end();
}

void Reload::end() {
    job_ = {};
    busy_ = false;
    if (!waiting_.empty()) begin();
}

Command Reload::command() {
    Command command;
    command.name = "reload";
    command.usage = "reload [dry_run=true|false]";
    command.about = "load the configuration file again";
    command.options = {"dry_run"};
    command.changes = true;
    command.run = [this](const Request& request, std::shared_ptr<Reply> reply) {
        const std::string_view dry_run = request.option("dry_run");
        if (!dry_run.empty() && dry_run != "true" && dry_run != "false") {
            reply->fail("dry_run must be true or false");
            return;
        }
        start(dry_run == "true", std::move(reply));
    };
    return command;
}

}  // namespace palier::control
