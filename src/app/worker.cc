#include "app/worker.h"

#include "palier/base/log.h"

#include <csignal>
#include <utility>

namespace palier::app {
namespace {

constexpr std::uint64_t kLogFlushMs = 500;
constexpr std::uint64_t kIdleGraceMs =
    500;                       // for busy keep-alive clients to be told, before idle ones are closed
constexpr int kStopTurns = 4;  // for closing handles to be closed
// In one turn; each may cost a few system calls.
constexpr std::size_t kVisitsPerTurn = 64;
constexpr std::size_t kClosesPerTurn = 64;
// Of the connections, for want of memory, at each look: a quarter, and some.
constexpr std::size_t kSparedPart = 4;
constexpr std::size_t kSparedLeast = 16;

}  // namespace

Worker::Worker(unsigned index, std::shared_ptr<const proxy::Snapshot> snapshot,
               proxy::AccessLogWriter* log_writer, std::vector<WorkerListener> listeners,
               std::size_t max_connections, std::function<void()> finished)
    : index_(index),
      mailbox_(loop_),
      core_(loop_, index, std::move(snapshot), log_writer),
      gates_(loop_, core_, index, max_connections),
      chores_(loop_),
      log_timer_(base::Timer::calling<&Worker::on_log_timer>(this)),
      idle_timer_(base::Timer::calling<&Worker::on_idle_timer>(this)),
      grace_timer_(base::Timer::calling<&Worker::on_grace_over>(this)),
      finished_(std::move(finished)) {
    gates_.take(std::move(listeners));
    loop_.observe_turns(*this);
}

Worker::~Worker() = default;

void Worker::start() {
    // Signals are the control thread's: a thread inherits the mask it is started under.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Worker::run() {
    on_log_timer();
    loop_.run();
    core_.access_log.flush();
    core_.pools.close_idle();
    mailbox_.close();
    for (int turn = 0; turn < kStopTurns; ++turn)
        loop_.run_once(0);
    finished_();
}

void Worker::on_turn_end() {
    core_.end_turn();
    if (ending_ && core_.connection_count == 0) loop_.stop();
}

void Worker::publish(std::shared_ptr<const proxy::Snapshot> snapshot, Done done) {
    mailbox_.post([this, next = std::move(snapshot), done = std::move(done)]() mutable {
        core_.publish(std::move(next));
        gates_.follow(*core_.snapshot->config);
        if (done) done();
    });
}

void Worker::publish(std::shared_ptr<const proxy::Snapshot> snapshot, std::vector<WorkerListener> listeners,
                     Done done) {
    mailbox_.post([this, next = std::move(snapshot), listeners = std::move(listeners),
                   done = std::move(done)]() mutable {
        core_.publish(std::move(next));
        const bool left = gates_.take(std::move(listeners));
        gates_.follow(*core_.snapshot->config);
        if (left && !idle_timer_.armed()) loop_.timers().arm(idle_timer_, loop_.now_ms() + kIdleGraceMs);
        if (done) done();
    });
}

void Worker::close_listeners(Done done) {
    mailbox_.post([this, done = std::move(done)]() mutable {
        gates_.shut();
        if (done) done();
    });
}

void Worker::set_max_connections(std::size_t most) {
    mailbox_.post([this, most] { gates_.set_max_connections(most); });
}

void Worker::log_to(proxy::AccessLogWriter* writer, Done done) {
    mailbox_.post([this, writer, done = std::move(done)]() mutable {
        core_.access_log.set_writer(writer);
        on_log_timer();
        done();
    });
}

void Worker::server_down(std::shared_ptr<pool::ServerState> server, bool cut_off) {
    mailbox_.post([this, down = std::move(server), cut_off] { core_.pools.server_down(*down, cut_off); });
}

void Worker::close_connections(std::shared_ptr<pool::ServerState> server, bool tunnels, Done done) {
    mailbox_.post([this, server = std::move(server), tunnels, done = std::move(done)]() mutable {
        chores_.add([this, server = std::move(server), tunnels, done = std::move(done)]() mutable {
            const bool closed = core_.pools.close_some(*server, tunnels, kClosesPerTurn);
            if (closed && done) done();
            return closed;
        });
    });
}

void Worker::report(std::function<void(control::Traffic)> take) {
    mailbox_.post([this, take = std::move(take)] {
        take({.connections = core_.connection_count,
              .exchanges = core_.exchanges,
              .tunnels = core_.tunnels,
              .spared = spared_,
              .refused = core_.refused});
    });
}

void Worker::report_listeners(std::function<void(std::map<int, std::size_t>)> take) {
    mailbox_.post([this, take = std::move(take)] { take(gates_.connections()); });
}

void Worker::wind_down(bool on, Done done) {
    mailbox_.post([this, on, done = std::move(done)]() mutable {
        winding_down_ = on;
        set_leaving();
        if (on) visit_all([](proxy::ClientConnection& connection) { connection.tell_to_go(); });
        if (done) done();
    });
}

void Worker::hand_over(std::chrono::milliseconds grace, Done done) {
    mailbox_.post([this, grace, done = std::move(done)]() mutable {
        begin_hand_over(grace);
        if (done) done();
    });
}

void Worker::stop(std::chrono::milliseconds grace) {
    mailbox_.post([this, grace] { begin_stop(grace); });
}

void Worker::begin_hand_over(std::chrono::milliseconds grace) {
    gates_.close();
    ending_ = true;
    set_leaving();
    visit_all([](proxy::ClientConnection& connection) { connection.tell_to_go(); });
    loop_.timers().arm(grace_timer_, loop_.now_ms() + static_cast<std::uint64_t>(grace.count()));
}

void Worker::begin_stop(std::chrono::milliseconds grace) {
    gates_.drain();
    core_.stopping = ending_ = true;
    set_leaving();
    loop_.timers().arm(idle_timer_, loop_.now_ms() + kIdleGraceMs);
    if (grace.count() <= 0) {
        cut_all();
    } else {
        loop_.timers().arm(grace_timer_, loop_.now_ms() + static_cast<std::uint64_t>(grace.count()));
    }
}

void Worker::set_leaving() {
    core_.leaving = winding_down_ || ending_ || pressure_ != Pressure::none;
}

void Worker::relieve(Pressure pressure) {
    mailbox_.post([this, pressure] {
        pressure_ = pressure;
        set_leaving();
        const bool was_short = std::exchange(core_.short_of_memory, pressure == Pressure::hard);
        if (core_.short_of_memory) gates_.pause("memory is short");
        if (core_.short_of_memory && !was_short) {
            visit_all([](proxy::ClientConnection& connection) { connection.give_up_request(); });
        }
        if (pressure != Pressure::none) close_idle();
        core_.drop_spares();
    });
}

/// Some of them, the ones first that were not looked at for longest, and at most once at a time.
void Worker::close_idle() {
    core_.pools.close_idle();
    if (std::exchange(closing_idle_, true)) return;
    std::size_t most = core_.connection_count / kSparedPart + kSparedLeast;
    chores_.add([this, left = core_.connection_count, most]() mutable {
        for (std::size_t visits = 0; left > 0 && most > 0 && visits < kVisitsPerTurn; ++visits, --left) {
            proxy::ClientConnection* connection = core_.connections.pop_front();
            if (connection == nullptr) break;
            core_.connections.push_back(*connection);
            if (connection->busy()) continue;
            const std::size_t before = core_.connection_count;
            connection->wind_down();  // one that has not been served yet stays
            if (core_.connection_count == before) continue;
            ++spared_;
            --most;
        }
        closing_idle_ = left > 0 && most > 0 && core_.connections.front() != nullptr;
        return !closing_idle_;
    });
}

/// Each connection goes to the end of the list as it is visited, so that it does not matter which of them end and begin
/// meanwhile.
void Worker::visit_all(void (*visit)(proxy::ClientConnection&)) {
    chores_.add([this, visit, left = core_.connection_count]() mutable {
        for (std::size_t visits = 0; left > 0 && visits < kVisitsPerTurn; ++visits, --left) {
            proxy::ClientConnection* connection = core_.connections.pop_front();
            if (connection == nullptr) return true;
            core_.connections.push_back(*connection);
            visit(*connection);
        }
        return left == 0;
    });
}

void Worker::on_idle_timer() {
    if (core_.stopping) {
        visit_all([](proxy::ClientConnection& connection) { connection.wind_down(); });
    } else {
        visit_all([](proxy::ClientConnection& connection) {
            if (connection.listener_leaves()) connection.wind_down();
        });
    }
}

/// After a hand-over, clients that could not be told yet are left what client_idle gives them, and the time for one more
/// request.
void Worker::on_grace_over() {
    const bool handed_over = !core_.stopping;
    if (!handed_over || std::exchange(grace_over_, true)) {
        cut_all();
        return;
    }
    if (core_.exchanges > 0) {
        base::log_warning(
            "worker {}: {} exchanges, {} of them tunnels, cut at the end of the hand-over's grace", index_,
            core_.exchanges, core_.tunnels);
    }
    visit_all([](proxy::ClientConnection& connection) {
        if (connection.busy()) connection.abort();
    });
    const config::TimeoutsConfig& timeouts = core_.snapshot->config->timeouts;
    const auto last = timeouts.client_idle + timeouts.server;
    loop_.timers().arm(grace_timer_, loop_.now_ms() + static_cast<std::uint64_t>(last.count()));
}

void Worker::cut_all() {
    if (core_.connection_count > 0) {
        base::log_warning("worker {}: {} connections cut at the end of {}", index_, core_.connection_count,
                          core_.stopping ? "shutdown_grace" : "the hand-over");
    }
    while (auto* connection = core_.connections.front())
        connection->abort();
}

void Worker::on_log_timer() {
    if (!core_.access_log.enabled()) return;
    core_.access_log.flush();
    loop_.timers().arm(log_timer_, loop_.now_ms() + kLogFlushMs);
}

}  // namespace palier::app
