#include "app/supervisor.h"

#include "app/limits.h"
#include "palier/base/log.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr std::uint64_t kSettleMs = 2'000;  // for the first answers of the DNS, and for those of the probes
constexpr std::uint64_t kLookMs = 500;
constexpr int kStopTurns = 4;  // for closing handles to be closed

base::LogLevel level_of(config::LogLevel level) {
    switch (level) {
        case config::LogLevel::debug:
            return base::LogLevel::debug;
        case config::LogLevel::info:
            return base::LogLevel::info;
        case config::LogLevel::warning:
            return base::LogLevel::warning;
        case config::LogLevel::error:
            break;
    }
    return base::LogLevel::error;
}

std::string hsts_line(const config::ListenerConfig& listener) {
    return listener.hsts.empty() ? "" : "Strict-Transport-Security: " + listener.hsts + "\r\n";
}

void close_all(const std::vector<std::vector<WorkerListener>>& listeners) {
    for (const auto& of_worker : listeners) {
        for (const auto& listener : of_worker)
            ::close(listener.descriptor);
    }
}

}  // namespace

Supervisor::Supervisor(config::Config config)
    : config_(std::make_shared<const config::Config>(std::move(config))),
      worker_count_(config_->workers != 0 ? config_->workers : usable_cpus()),
      mailbox_(loop_),
      signals_(loop_),
      builder_(worker_count_),
      readiness_(builder_),
      notifier_(std::getenv("NOTIFY_SOCKET")),
      names_(loop_,
             [this] {
                 if (!workers_.empty()) publish();
             }),
      certificates_(loop_, config_),
      monitor_(loop_,
               [this](const std::shared_ptr<pool::ServerState>& server, bool cut_off) {
                   for (auto& worker : workers_)
                       worker->server_down(server, cut_off);
               }),
      look_timer_(base::Timer::calling<&Supervisor::look_for_unreachable>(this)) {}

Supervisor::~Supervisor() = default;

base::Result<void> Supervisor::start() {
    base::log_start(level_of(config_->log.level));
    std::signal(SIGPIPE, SIG_IGN);
    // Who finds the sockets open may also end us gracefully; that is done once the workers run.
    signals_.on(SIGTERM, [this] { begin_stop(); });
    signals_.on(SIGINT, [this] { begin_stop(); });
    signals_.on(SIGUSR1, [this] {
        if (log_writer_) log_writer_->reopen();
    });
    return_large_blocks();
    const std::size_t descriptors = raise_descriptor_limit();
    const std::size_t clients =
        config_->limits.connections != 0 ? config_->limits.connections : clients_within(descriptors);

    auto log_writer = proxy::AccessLogWriter::open(config_->log);
    if (!log_writer) return std::unexpected(log_writer.error());
    log_writer_ = std::move(*log_writer);

    if (const auto loaded = certificates_.load(); !loaded) return std::unexpected(loaded.error());
    if (const auto prepared = builder_.prepare(*config_); !prepared) return std::unexpected(prepared.error());

    if (const auto opened = open_admin(); !opened) return std::unexpected(opened.error());
    auto listeners = open_listeners(worker_count_);
    if (!listeners) return std::unexpected(listeners.error());

    names_.watch(*config_);
    settle_names();
    auto snapshot = next_snapshot();
    settle_health();
    snapshot = next_snapshot();  // names may have moved meanwhile

    const std::size_t share = std::max<std::size_t>(1, clients / worker_count_);
    for (unsigned i = 0; i < worker_count_; ++i) {
        workers_.push_back(std::make_unique<Worker>(i, snapshot, log_writer_.get(),
                                                    std::move((*listeners)[i]), share,
                                                    [this] { mailbox_.post([this] { --running_; }); }));
    }
    running_ = workers_.size();
    for (auto& worker : workers_)
        worker->start();
    const std::string extent = fmt::format("{} workers, {} pools, {} routes", worker_count_,
                                           config_->pools.size(), config_->routes.size());
    base::log_info("palier {} serves with {}", PALIER_VERSION, extent);
    loop_.timers().arm(look_timer_, loop_.now_ms() + kLookMs);
    if (stop_early_) {
        begin_stop();
        return {};
    }
    readiness_.serves();
    notifier_.ready("serving with " + extent);
    return {};
}

/// It answers while the rest of the start goes on, and until the last exchange of a stop has ended.
base::Result<void> Supervisor::open_admin() {
    if (config_->admin.empty()) return {};
    admin_ =
        std::make_unique<admin::AdminListener>(loop_, config_->timeouts, admin::health_pages(readiness_));
    return admin_->listen(config_->admin);
}

base::Result<std::vector<std::vector<WorkerListener>>> Supervisor::open_listeners(unsigned workers) {
    std::vector<std::vector<WorkerListener>> listeners(workers);
    for (std::size_t index = 0; index < config_->listeners.size(); ++index) {
        const config::ListenerConfig& listener = config_->listeners[index];
        for (base::SocketAddress address : listener.addresses) {
            // Another process on this address would share its connections with us, because of SO_REUSEPORT.
            if (const auto free = net::check_free(address); address.port() != 0 && !free) {
                close_all(listeners);
                return std::unexpected(free.error());
            }
            for (unsigned worker = 0; worker < workers; ++worker) {
                const auto descriptor = net::listen_on(address, true);
                if (!descriptor) {
                    close_all(listeners);
                    return std::unexpected(descriptor.error());
                }
                address = net::bound_address(*descriptor);
                if (port_ == 0) port_ = address.port();
                listeners[worker].push_back({*descriptor,
                                             {.index = index,
                                              .name = listener.name,
                                              .port = std::to_string(address.port()),
                                              .scheme = listener.tls ? "https" : "http",
                                              .proxy_protocol = listener.proxy_protocol,
                                              .tls = certificates_.context(index),
                                              .http2 = listener.http2,
                                              .hsts = hsts_line(listener)}});
            }
            base::log_info("listener {} on {}", listener.name, address.to_string());
        }
    }
    return listeners;
}

/// Gives the DNS a moment, so that the first requests find their servers; a name that takes longer comes
/// later.
void Supervisor::settle_names() {
    const std::uint64_t until = base::monotonic_ms() + kSettleMs;
    while (!names_.settled() && !stop_early_ && base::monotonic_ms() < until)
        loop_.run_once(50);
}

/// And the first results of the probes, without which there may be no server to use. Clients wait for as long
/// in the queues of the listening sockets.
void Supervisor::settle_health() {
    const std::uint64_t until = base::monotonic_ms() + kSettleMs;
    while (!monitor_.settled() && !stop_early_ && base::monotonic_ms() < until)
        loop_.run_once(50);
}

/// Its servers are probed before workers see them: one that is new is not used unprobed.
std::shared_ptr<const proxy::Snapshot> Supervisor::next_snapshot() {
    auto snapshot = builder_.build(config_, names_.addresses());
    monitor_.watch(snapshot->pools);
    return snapshot;
}

void Supervisor::publish() {
    const auto snapshot = next_snapshot();
    for (auto& worker : workers_)
        worker->publish(snapshot);
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
    loop_.timers().arm(look_timer_, loop_.now_ms() + kLookMs);
}

void Supervisor::run() {
    while (running_ > 0)
        loop_.run_once(std::numeric_limits<int>::max());
    for (auto& worker : workers_)
        worker->join();
    workers_.clear();
    admin_.reset();
    log_writer_.reset();
    base::log_info("palier has stopped");
}

void Supervisor::begin_stop() {
    readiness_.stops();
    if (workers_.empty()) {
        stop_early_ = true;
        return;
    }
    const bool again = std::exchange(stopping_, true);
    const auto grace = again ? config::Duration{0} : config_->shutdown_grace;
    const std::string_view how = again ? "at once" : "exchanges in flight may finish";
    base::log_info("stopping: {}", how);
    notifier_.stopping(how);
    for (auto& worker : workers_)
        worker->stop(grace);
}

}  // namespace palier::app
