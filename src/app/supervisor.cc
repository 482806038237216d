#include "app/supervisor.h"

#include "app/limits.h"
#include "app/prepared.h"
#include "palier/base/clock.h"
#include "palier/base/log.h"
#include "palier/net/process.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr std::uint64_t kSettleMs = 2'000;  // for the first answers of the DNS, and for those of the probes
constexpr std::uint64_t kLookMs = 500;

}  // namespace

Supervisor::Supervisor(config::Config config, Source source, std::optional<control::TakeOver> from)
    : config_(std::make_shared<const config::Config>(std::move(config))),
      source_(std::move(source)),
      worker_count_(config_->workers != 0 ? config_->workers : usable_cpus()),
      started_ms_(base::monotonic_ms()),
      mailbox_(loop_),
      signals_(loop_),
      builder_(worker_count_),
      readiness_(builder_),
      notifier_(std::getenv("NOTIFY_SOCKET")),
      names_(loop_,
             [this] {
                 if (team_.started()) republish([] {});
             }),
      certificates_(loop_),
      monitor_(loop_, [this](const std::shared_ptr<pool::ServerState>& server,
                             bool cut_off) { team_.server_down(server, cut_off); }),
      overlay_(loop_, config_->state_file, [this] { republish([] {}); }),
      look_timer_(base::Timer::calling<&Supervisor::on_look_timer>(this)),
      drain_timer_(base::Timer::calling<&Supervisor::close_gates>(this)),
      change_timer_(base::Timer::calling<&Supervisor::on_change_timer>(this)),
      listening_(worker_count_),
      team_(mailbox_),
      memory_guard_(loop_, [this](Pressure pressure) { team_.relieve(pressure); }),
      events_(loop_),
      reload_(mailbox_, *this, events_),
      rollouts_(*this, overlay_, events_, loop_),
      upgrade_(loop_, commands_, events_, notifier_, invocation(), upgrade_hooks(), std::move(from)),
      predecessors_(loop_, *this) {}

Supervisor::~Supervisor() = default;

base::Result<void> Supervisor::start() {
    auto started = start_beside();
    if (!started) upgrade_.step_back(started.error().message);
    return started;
}

base::Result<void> Supervisor::start_beside() {
    set_log_level();
    descriptors_ = raise_descriptor_limit();
    std::signal(SIGPIPE, SIG_IGN);
    take_signals();
    return_large_blocks();
    if (const auto inherited = inherit(); !inherited) return inherited;
    if (const auto opened = open_files(); !opened) return opened;
    overlay_.check_against(*config_);
    // Commands may come as soon as the socket is open: they find a snapshot, though not all addresses in it yet.
    static_cast<void>(builder_.build(config_, names_.addresses(), overlay_.decisions()));
    add_commands();
    if (const auto opened = open_sockets(); !opened) return opened;

    names_.watch(std::array{config_.get()});
    settle([this] { return names_.settled(); });
    static_cast<void>(next_snapshot());
    // Without the first results of the probes there may be no server to use. Clients wait for as long in the queues of
    // the listening sockets.
    settle([this] { return monitor_.settled(); });
    rollouts_.report();
    return serve();
}

/// Who finds the sockets open may also end us gracefully; that is done once the workers run.
void Supervisor::take_signals() {
    signals_.on(SIGTERM, [this] { begin_stop(config_->shutdown_grace); });
    signals_.on(SIGINT, [this] { begin_stop(config_->shutdown_grace); });
    signals_.on(SIGQUIT, [this] { begin_stop(config::Duration{0}); });
    signals_.on(SIGHUP, [this] {
        if (upgrade_.under_way()) {
            base::log_warning("an upgrade is under way: SIGHUP has no effect on this process");
        } else {
            reload_.start(false, nullptr);
        }
    });
    signals_.on(SIGUSR1, [this] {
        if (log_writer_) log_writer_->reopen();
    });
}

base::Result<void> Supervisor::open_files() {
    auto log_writer = proxy::AccessLogWriter::open(config_->log);
    if (!log_writer) return std::unexpected(log_writer.error());
    log_writer_ = std::move(*log_writer);
    if (auto loaded = certificates_.load(*config_); !loaded) return loaded;
    return builder_.prepare(*config_);
}

/// The admin listener answers while the rest of the start goes on, and until the last exchange of a stop has ended.
base::Result<void> Supervisor::open_sockets() {
    auto admin = open_admin(*config_);
    if (!admin) return std::unexpected(admin.error());
    admin_ = std::move(*admin);
    inherit_sockets();
    auto plan = listening_.prepare(*config_);
    if (!plan) return std::unexpected(plan.error());
    if (upgrade_.inherited() != nullptr) {
        plan_.emplace(std::move(*plan));
    } else {
        listening_.commit(std::move(*plan));
        port_ = listening_.rows().front().address.port();
    }
    if (config_->control_socket.empty()) return {};
    control_ = std::make_unique<control::ControlSocket>(loop_, commands_);
    const net::LocalAccess access{.owner = config_->control_owner, .group = config_->control_group};
    return upgrade_.inherited() != nullptr ? control_->listen_beside(config_->control_socket, access)
                                           : control_->listen(config_->control_socket, access);
}

base::Result<std::unique_ptr<admin::AdminListener>> Supervisor::open_admin(const config::Config& config) {
    if (config.admin.empty()) return nullptr;
    auto admin =
        std::make_unique<admin::AdminListener>(loop_, config.timeouts, admin::health_pages(readiness_));
    if (inherits_admin(config)) return admin;
    if (const auto listening = admin->listen(config.admin); !listening)
        return std::unexpected(listening.error());
    return admin;
}

void Supervisor::add_commands() {
    commands_.report_to(events_);
    control::add_events_command(commands_, events_);
    control::add_commands(commands_, {.loop = loop_,
                                      .engine = *this,
                                      .overlay = overlay_,
                                      .events = events_,
                                      .certificates = certificates_,
                                      .readiness = readiness_,
                                      .rollouts = rollouts_,
                                      .config_file = source_.file});
    rollouts_.add_commands(commands_);
    commands_.add(reload_.command());
    upgrade_.add_commands();
    commands_.add_help();
}

/// Gives what is asked of others a moment; what takes longer comes later.
void Supervisor::settle(const std::function<bool()>& settled) {
    const std::uint64_t until = base::monotonic_ms() + kSettleMs;
    while (!settled() && !early_stop_ && base::monotonic_ms() < until)
        loop_.run_once(50);
}

base::Result<void> Supervisor::serve() {
    const auto snapshot = next_snapshot();  // names may have moved meanwhile
    if (auto stepped = step_in(); !stepped) return stepped;
    team_.start(snapshot, log_writer_.get(), listening_.hand_out(*config_, certificates_.contexts()),
                most_clients());
    const std::string extent = fmt::format("{} workers, {} pools, {} routes", worker_count_,
                                           config_->pools.size(), config_->routes.size());
    base::log_info("palier {} serves with {}", PALIER_VERSION, extent);
    loop_.timers().arm(look_timer_, loop_.now_ms() + kLookMs);
    memory_guard_.limit_to(config_->limits.memory);
    stepped_in();
    if (early_stop_) {
        begin_stop(*early_stop_);
        return {};
    }
    readiness_.serves();
    notifier_.ready("serving with " + extent);
    return {};
}

std::size_t Supervisor::most_clients() const {
    return config_->limits.connections != 0 ? config_->limits.connections : clients_within(descriptors_);
}

void Supervisor::set_log_level() const {
    switch (config_->log.level) {
        case config::LogLevel::debug:
            return base::log_start(base::LogLevel::debug);
        case config::LogLevel::info:
            return base::log_start(base::LogLevel::info);
        case config::LogLevel::warning:
            return base::log_start(base::LogLevel::warning);
        case config::LogLevel::error:
            return base::log_start(base::LogLevel::error);
    }
}

/// Its servers are probed before workers see them: one that is new is not used unprobed.
std::shared_ptr<const proxy::Snapshot> Supervisor::next_snapshot() {
    auto snapshot = builder_.build(config_, names_.addresses(), overlay_.decisions());
    if (auto* const estate = upgrade_.inherited()) control::restore_standing(*estate, *snapshot);
    monitor_.watch(snapshot->pools);
    return snapshot;
}

void Supervisor::on_look_timer() {
    look_for_unreachable();
    builder_.forget_retired();
    certificates_.forget_retired();
    std::erase_if(former_logs_, [](const auto& log) { return log->finished(); });
    if (::getpid() == 1) net::reap_orphans();
    loop_.timers().arm(look_timer_, loop_.now_ms() + kLookMs);
}

/// Servers that could not be reached may have moved: their names are asked again.
void Supervisor::look_for_unreachable() {
    for (const auto& pool : builder_.current()->pools) {
        for (const auto& server : pool->servers) {
            if (!server.state->unreachable.exchange(false)) continue;
            const auto& configured = pool->config.servers;
            const auto found = std::ranges::find(configured, server.name, &config::ServerConfig::name);
            if (found != configured.end()) names_.doubt(found->host);
        }
    }
}

void Supervisor::run() {
    while (team_.running() > 0 || upgrade_.leaving()) {
        loop_.run_once(std::numeric_limits<int>::max());
        former_admin_.reset();
    }
    team_.join();
    predecessors_.leave();
    last_clients_.reset();
    if (control_) control_->close();
    control_.reset();
    admin_.reset();
    end_logs();
    if (::getpid() == 1) net::reap_orphans();
    base::log_info("palier has stopped");
    // It ends by itself: no signal that comes late may make that another end.
    sigset_t late;
    sigemptyset(&late);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT})
        sigaddset(&late, signal);
    pthread_sigmask(SIG_BLOCK, &late, nullptr);
}

/// All at once, so that slow readers hold the end up for no longer than one does.
void Supervisor::end_logs() {
    if (log_writer_) former_logs_.push_back(std::move(log_writer_));
    for (const auto& log : former_logs_)
        log->finish();
    former_logs_.clear();
}

void Supervisor::begin_stop(config::Duration grace) {
    readiness_.stops();
    if (!team_.started()) {
        early_stop_ = grace;
        return;
    }
    if (std::exchange(stopping_, true)) grace = config::Duration{0};
    const std::string_view how = grace.count() == 0 ? "at once" : "exchanges in flight may finish";
    base::log_info("stopping: {}", how);
    base::TimerWheel::disarm(drain_timer_);
    refuse_enabling("palier is stopping");
    upgrade_.give_up("the palier that runs is stopping");
    if (!upgrade_.left()) notifier_.stopping(how);
    rollouts_.stop();
    team_.stop(grace);
    if (coming_) give_up_change();
}

}  // namespace palier::app
