#include "app/upgrade.h"

#include "palier/base/log.h"
#include "palier/config/units.h"

#include <array>
#include <climits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr std::uint64_t kEndMs = 3'000;  // from SIGTERM to SIGKILL
constexpr std::size_t kMostLines = 20;   // of a failed check, in the reply
constexpr std::string_view kDeleted = " (deleted)";

std::int64_t seconds_of(std::uint64_t ms) {
    return static_cast<std::int64_t>((ms + 999) / 1000);
}

/// As waitpid(2) has it.
int status_of(const net::Process::End& end) {
    return end.signal != 0 ? W_EXITCODE(0, end.signal) : W_EXITCODE(end.status, 0);
}

}  // namespace

std::string own_binary() {
    std::array<char, PATH_MAX> room;
    const ssize_t size = ::readlink("/proc/self/exe", room.data(), room.size());
    std::string path(room.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    // It was replaced before it had started: what is there now is as good.
    if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
    return path;
}

Upgrade::Upgrade(net::Loop& loop, control::CommandTable& commands, control::Events& events,
                 const Notifier& notifier, Invocation invocation, Hooks hooks,
                 std::optional<control::TakeOver> from)
    : loop_(loop),
      commands_(commands),
      events_(events),
      notifier_(notifier),
      invocation_(std::move(invocation)),
      hooks_(std::move(hooks)),
      from_(std::move(from)),
      stays_(must_stay(from_.has_value())),
      hand_over_(loop, commands, PALIER_VERSION, hand_over_hooks()) {
    if (from_) line_ = std::exchange(from_->estate().forwarder, -1);
}

Upgrade::~Upgrade() {
    if (left() && process_) process_->release();
    close_line();
}

void Upgrade::add_commands() {
    commands_.add(hand_over_.command());
    commands_.add({.name = "upgrade",
                   .usage = "upgrade [binary=/path/to/palier] [wait=60s]",
                   .about = "replace this palier by a newly started one",
                   .options = {"binary", "wait"},
                   .changes = true,
                   .run = [this](const control::Request& request, std::shared_ptr<control::Reply> reply) {
                       begin(request, std::move(reply));
                   }});
}

// The new one's part.

base::Result<void> Upgrade::step_in() {
    if (!from_) return {};
    const auto outcome = from_->ready();
    if (!outcome) return std::unexpected(outcome.error());
    if (*outcome == control::TakeOver::Outcome::gone)
        base::log_warning("the palier whose place this one takes has died; its sockets are served on");
    return {};
}

void Upgrade::step_back(std::string_view why) {
    if (from_) from_->failed(why);
}

int Upgrade::serves() {
    if (!from_) return -1;
    if (line_ >= 0) say_serving(line_);
    const int channel = from_->serving();
    from_.reset();
    return channel;
}

// The command.

void Upgrade::begin(const control::Request& request, std::shared_ptr<control::Reply> reply) {
    const std::string_view wait = request.has("wait") ? request.option("wait") : "60s";
    const auto patience = config::parse_duration(wait);
    const std::string binary(request.has("binary") ? request.option("binary") : invocation_.binary);
    if (!patience || patience->count() <= 0) {
        reply->fail(fmt::format("wait must be a duration such as 60s, not \"{}\"", wait));
    } else if (attempt_) {
        reply->fail("an upgrade is under way already");
    } else if (const std::string obstacle = hooks_.obstacle(); !obstacle.empty()) {
        reply->fail(obstacle);
    } else if (!binary.starts_with('/')) {
        reply->fail(fmt::format("binary must be a whole path, from / on, not \"{}\"", binary));
    } else {
        attempt_.emplace();
        attempt_->reply = std::move(reply);
        attempt_->binary = binary;
        attempt_->wait_ms = static_cast<std::uint64_t>(patience->count());
        loop_.timers().arm(late_timer_, loop_.now_ms() + attempt_->wait_ms);
        check();
    }
}

void Upgrade::check() {
    auto process =
        net::Process::start(loop_, {.argv = {attempt_->binary, "check", "-c", invocation_.file},
                                    .environment = {},
                                    .own_session = true,
                                    .on_line =
                                        [this](const net::Process::Line& line) {
                                            if (attempt_->lines.size() >= kMostLines)
                                                attempt_->lines.pop_front();
                                            attempt_->lines.emplace_back(line.text);
                                        },
                                    .on_end = [this](const net::Process::End& end) { on_checked(end); }});
    if (!process) {
        fail(process.error().message);
        return;
    }
    process_ = std::move(*process);
}

void Upgrade::on_checked(const net::Process::End& end) {
    process_.reset();
    if (!attempt_->failure.empty()) {
        fail(attempt_->failure);
    } else if (!end.well()) {
        fail(fmt::format("{} check -c {}: {}", attempt_->binary, invocation_.file, end.words()));
    } else {
        start_next();
    }
}

void Upgrade::start_next() {
    attempt_->lines.clear();
    std::vector<std::string> argv{attempt_->binary};
    argv.insert(argv.end(), invocation_.arguments.begin(), invocation_.arguments.end());
    auto process =
        net::Process::start(loop_, {.argv = std::move(argv),
                                    .environment = {},
                                    .own_session = false,
                                    .on_line = {},
                                    .on_end = [this](const net::Process::End& end) { on_next_ended(end); }});
    if (!process) {
        fail(process.error().message);
        return;
    }
    process_ = std::move(*process);
    attempt_->started = true;
    base::log_info("upgrade: {} is started as process {}", attempt_->binary, process_->pid());
    const nlohmann::json event{{"event", "upgrade"}, {"step", "started"}, {"pid", process_->pid()}};
    attempt_->reply->event(event);
    events_.tell(event);
}

void Upgrade::on_next_ended(const net::Process::End& end) {
    const int pid = process_->pid();
    process_.reset();
    if (attempt_ && attempt_->failure.empty()) hand_over_.hear_last();
    if (attempt_) {
        std::string why = attempt_->failure;
        if (why.empty() || why == control::HandOver::kEnded)
            why = fmt::format("{}: {}", control::HandOver::kEnded, end.words());
        fail(fmt::format("process {} did not take over: {}", pid, why));
    } else if (left() && line_ >= 0) {
        say_ended(line_, pid, status_of(end));
    }
}

void Upgrade::on_late() {
    const std::string why = fmt::format("it was not ready within {} s", seconds_of(attempt_->wait_ms));
    abandon(why);
    hand_over_.give_up(why);
}

/// Its end answers the command.
void Upgrade::abandon(std::string why) {
    if (!attempt_ || !attempt_->failure.empty()) return;
    attempt_->failure = std::move(why);
    if (process_) process_->terminate(attempt_->started ? kEndMs : 0);
}

/// `why` is a copy: it may come from the attempt.
void Upgrade::fail(std::string why) {  // NOLINT(performance-unnecessary-value-param)
    base::TimerWheel::disarm(late_timer_);
    Attempt attempt = std::move(*attempt_);
    attempt_.reset();
    base::log_warning("upgrade to {} failed: {}", attempt.binary, why);
    for (const std::string& line : attempt.lines)
        base::log_warning("upgrade: {}", line);
    events_.tell({{"event", "upgrade"}, {"step", "failed"}, {"error", why}});
    attempt.reply->fail(
        why, attempt.lines.empty() ? nlohmann::json::object() : nlohmann::json{{"output", attempt.lines}});
}

// The old one's part.

control::HandOver::Hooks Upgrade::hand_over_hooks() {
    return {.obstacle = [this] { return hooks_.obstacle(); },
            .estate = [this] { return estate(); },
            .given_up = [this](const auto& /*successor*/, std::string_view why) { on_given_up(why); },
            .announce = [this](const auto& successor) { announce(successor); },
            .leave = [this](const auto& successor) { on_left(successor); },
            .left = [this](int channel) { on_path_left(channel); }};
}

control::Estate Upgrade::estate() {
    control::Estate estate = hooks_.estate();
    if (line_ < 0 && stays_) {
        if (const auto ends = open_forwarder_line(); ends) {
            line_end_ = (*ends)[0];
            line_ = (*ends)[1];
        }
    }
    estate.forwarder = line_;
    return estate;
}

/// A process that stays is the main one for good.
void Upgrade::announce(const control::HandOver::Successor& successor) {
    if (line_end_ >= 0 || successor.pid == 0) return;
    notifier_.main_pid(successor.pid);
    announced_ = true;
}

void Upgrade::on_given_up(std::string_view why) {
    if (std::exchange(announced_, false)) notifier_.main_pid(::getpid());
    if (line_end_ >= 0) close_line();
    if (attempt_ && attempt_->started) abandon(std::string(why));
}

void Upgrade::on_left(const control::HandOver::Successor& successor) {
    base::TimerWheel::disarm(late_timer_);
    hooks_.hand_over();
    const nlohmann::json ready{{"event", "upgrade"}, {"step", "ready"}, {"pid", successor.pid}};
    events_.tell(ready);
    if (attempt_) {
        if (!attempt_->started) process_.reset();  // somebody else was faster
        attempt_->reply->event(ready);
        reply_ = std::move(attempt_->reply);
        attempt_.reset();
    }
    if (line_end_ >= 0 && successor.pid != 0) stay_for(successor);
}

/// Only now the command is answered: who asks for something next, reaches the other one.
void Upgrade::on_path_left(int channel) {
    hooks_.leave_control_path(channel);
    const control::HandOver::Successor& successor = hand_over_.successor();
    if (const auto reply = std::exchange(reply_, nullptr))
        reply->done({{"pid", successor.pid}, {"version", successor.version}});
}

/// From here on everything that ends below this process is the forwarder's to reap.
void Upgrade::stay_for(const control::HandOver::Successor& successor) {
    if (process_) {
        process_->release();
        process_.reset();
    }
    forwarder_ = std::make_unique<Forwarder>(std::exchange(line_end_, -1), successor.pid);
    close_line();
    base::log_info("this process stays for the sake of its id, and passes signals on to process {}",
                   successor.pid);
    forwarder_->work_on(loop_, [this] { hooks_.ended(*forwarder_->exit_code()); });
}

std::unique_ptr<Forwarder> Upgrade::take_forwarder() {
    if (forwarder_) forwarder_->rest();
    return std::move(forwarder_);
}

void Upgrade::give_up(std::string_view why) {
    hand_over_.give_up(why);
    abandon(std::string(why));
}

void Upgrade::close_line() {
    if (line_ >= 0) ::close(std::exchange(line_, -1));
    if (line_end_ >= 0) ::close(std::exchange(line_end_, -1));
}

}  // namespace palier::app
