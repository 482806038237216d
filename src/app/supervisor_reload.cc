// How the supervisor goes over to another configuration: control::Reload::Subject.
//
// After commit(), the names of new servers are resolved and the servers probed, so that there is somebody to use when
// the configuration comes into force; meanwhile the workers go on under the former one. What takes longer than a moment
// is not waited for.
#include "app/prepared.h"
#include "app/supervisor.h"
#include "palier/base/clock.h"
#include "palier/base/log.h"
#include "palier/config/load.h"
#include "palier/net/listener.h"

#include <algorithm>
#include <array>
#include <utility>

namespace palier::app {
namespace {

constexpr std::uint64_t kSettleMs = 2'000;  // for the answers of the DNS, and for those of the probes

/// What a reload leaves as it is.
void keep_until_restart(const config::Config& before, config::Config& after) {
    after.workers = before.workers;
    after.control_socket = before.control_socket;
    after.control_owner = before.control_owner;
    after.control_group = before.control_group;
    after.state_file = before.state_file;
}

bool has_server(const config::Config& config, const std::string& pool, const config::ServerConfig& server) {
    const auto found = std::ranges::find(config.pools, pool, &config::PoolConfig::name);
    if (found == config.pools.end()) return false;
    const auto same = std::ranges::find(found->servers, server.name, &config::ServerConfig::name);
    return same != found->servers.end() && same->address() == server.address();
}

/// Open connections to servers that `next` does not have.
std::uint64_t connections_left_out(const proxy::Snapshot& snapshot, const config::Config& next) {
    std::uint64_t connections = 0;
    for (const auto& pool : snapshot.pools) {
        for (const pool::Server& server : pool->servers) {
            const auto& servers = pool->config.servers;
            const auto configured = std::ranges::find(servers, server.name, &config::ServerConfig::name);
            if (!has_server(next, pool->config.name, *configured))
                connections += server.state->totals().connections;
        }
    }
    return connections;
}

base::Result<void> admin_is_free(const std::string& address) {
    const auto parsed = base::SocketAddress::parse(address);
    if (!parsed || parsed->port() == 0) return {};
    return net::check_free(*parsed);
}

}  // namespace

base::Result<control::Reload::Loader> Supervisor::loader() const {
    if (source_.file.empty())
        return base::failure("there is no file to load: the configuration was built in");
    if (const auto obstacle = obstacle_to_change(); !obstacle.empty())
        return base::failure(std::string(obstacle));
    return [file = source_.file, workers = source_.workers,
            known = certificates_.in_use()]() -> std::expected<control::Candidate, std::vector<std::string>> {
        auto loaded = config::load_file(file);
        if (!loaded) {
            std::vector<std::string> errors;
            for (const config::Mistake& mistake : loaded.error())
                errors.push_back(mistake.to_string());
            return std::unexpected(std::move(errors));
        }
        if (workers) loaded->workers = *workers;
        auto stores = control::CertificateWatcher::read(*loaded, known);
        return control::Candidate{std::move(*loaded), std::move(stores)};
    };
}

base::Result<control::Difference> Supervisor::prepare(control::Candidate candidate, bool dry_run) {
    if (stopping_) return base::failure("palier is stopping");
    if (upgrade_.under_way()) return base::failure("an upgrade is under way: the next palier loads the file");
    control::Difference found = control::difference(*config_, candidate.config);
    keep_until_restart(*config_, candidate.config);
    auto prepared = std::make_unique<Prepared>();
    auto certificates = certificates_.prepare(candidate.config, candidate.stores);
    if (!certificates) return std::unexpected(certificates.error());
    prepared->certificates = std::move(*certificates);
    if (const auto ready = builder_.prepare(candidate.config); !ready) return std::unexpected(ready.error());
    prepared->config = std::make_shared<const config::Config>(std::move(candidate.config));
    if (const auto ready = dry_run ? try_outward(*prepared) : prepare_outward(*prepared); !ready)
        return std::unexpected(ready.error());
    prepared_ = std::move(prepared);
    return found;
}

/// What stays when the rest fails comes last: a file that is made.
base::Result<void> Supervisor::prepare_outward(Prepared& prepared) {
    const config::Config& next = *prepared.config;
    if (prepared.new_admin = next.admin != config_->admin; prepared.new_admin) {
        auto admin = open_admin(next);
        if (!admin) return std::unexpected(admin.error());
        prepared.admin = std::move(*admin);
    }
    if (gates_ == Gates::open) {
        auto plan = listening_.prepare(next);
        if (!plan) return std::unexpected(plan.error());
        prepared.listening.emplace(std::move(*plan));
    }
    if (prepared.new_log = next.log.access != config_->log.access; prepared.new_log) {
        auto writer = proxy::AccessLogWriter::open(next.log);
        if (!writer) return std::unexpected(writer.error());
        prepared.log_writer = std::move(*writer);
    }
    return {};
}

/// The same as far as it can be known without doing it.
base::Result<void> Supervisor::try_outward(const Prepared& prepared) const {
    const config::Config& next = *prepared.config;
    if (next.admin != config_->admin) {
        if (auto free = admin_is_free(next.admin); !free) return free;
    }
    return gates_ == Gates::open ? listening_.check(next) : base::Result<void>{};
}

std::uint64_t Supervisor::drop() {
    prepared_.reset();
    go_on_enabling();
    return builder_.current()->generation;
}

void Supervisor::count_closed(std::function<void(std::uint64_t)> answer) {
    const std::uint64_t to_servers = connections_left_out(*builder_.current(), *prepared_->config);
    team_.ask_connections(listening_.leaving(*prepared_->config),
                          [to_servers, answer = std::move(answer)](std::uint64_t of_clients) {
                              answer(to_servers + of_clients);
                          });
}

void Supervisor::commit(Committed in_force) {
    coming_ = std::move(prepared_);
    coming_->in_force = std::move(in_force);
    if (stopping_) return give_up_change();
    coming_->until_ms = base::monotonic_ms() + kSettleMs;
    names_.watch(std::array{config_.get(), coming_->config.get()});
    on_change_timer();
}

void Supervisor::on_change_timer() {
    const bool in_time = base::monotonic_ms() < coming_->until_ms;
    if (coming_->step == Prepared::Step::names && (names_.settled() || !in_time)) {
        config_ = coming_->config;
        coming_->snapshot = next_snapshot();
        coming_->step = Prepared::Step::probes;
        coming_->until_ms = base::monotonic_ms() + kSettleMs;
    }
    if (coming_->step == Prepared::Step::probes && (monitor_.settled() || !in_time)) {
        put_in_force();
        return;
    }
    loop_.timers().arm(change_timer_, base::monotonic_ms() + kChangeLookMs);
}

void Supervisor::put_in_force() {
    const std::unique_ptr<Prepared> next = std::move(coming_);
    const auto held_back = std::exchange(held_back_, {});
    auto done = [this, in_force = std::move(next->in_force), held_back] {
        for (const InForce& published : held_back)
            published();
        in_force(builder_.current()->generation);
    };
    names_.watch(std::array{config_.get()});
    certificates_.commit(std::move(next->certificates));
    const auto snapshot = held_back.empty() ? next->snapshot : next_snapshot();
    if (next->listening) {
        listening_.commit(std::move(*next->listening));
        team_.publish(snapshot, listening_.hand_out(*config_, certificates_.contexts()), std::move(done));
    } else {
        team_.publish(snapshot, std::move(done));
    }
    team_.limit_clients(most_clients());
    memory_guard_.limit_to(config_->limits.memory);
    set_log_level();
    if (next->new_log) switch_log(std::move(next->log_writer));
    if (next->new_admin) {
        former_admin_ = std::exchange(admin_, std::move(next->admin));
    } else if (admin_) {
        admin_->set_timeouts(config_->timeouts);
    }
    overlay_.check_against(*config_);
    go_on_enabling();
}

/// Palier stops: no sockets open any more. What was decided meanwhile counts for the exchanges in flight.
void Supervisor::give_up_change() {
    base::TimerWheel::disarm(change_timer_);
    const std::unique_ptr<Prepared> given_up = std::move(coming_);
    names_.watch(std::array{config_.get()});
    team_.publish(next_snapshot(), [held_back = std::exchange(held_back_, {})] {
        for (const InForce& published : held_back)
            published();
    });
    given_up->in_force(base::failure("palier is stopping"));
}

/// A reader who is slow to take the former one's last lines holds nobody up.
void Supervisor::switch_log(std::unique_ptr<proxy::AccessLogWriter> writer) {
    auto former = std::exchange(log_writer_, std::move(writer));
    team_.log_to(log_writer_.get(), [log = former.get()] {
        if (log != nullptr) log->finish();
    });
    if (former) former_logs_.push_back(std::move(former));
}

}  // namespace palier::app
