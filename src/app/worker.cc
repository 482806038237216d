#include "app/worker.h"

#include <csignal>
#include <cstring>

namespace palier::app {
namespace {

constexpr std::uint64_t kLogFlushMs = 500;
constexpr std::uint64_t kResumeMs = 250;     // between two attempts to accept again
constexpr std::uint64_t kIdleGraceMs = 500;  // for busy keep-alive clients to be told, at stop
constexpr int kStopTurns = 4;                // for closing handles to be closed

}  // namespace

/// One listening socket of this worker.
class Worker::Gate final : private net::Listener::Acceptor {
  public:
    Gate(Worker& worker, WorkerListener listener)
        : worker_(worker),
          facts_(std::move(listener.facts)),
          listener_(worker.loop_, listener.descriptor, *this) {}

    void pause() { listener_.pause(); }
    void resume() { listener_.resume(); }
    void drain() { listener_.drain(); }

  private:
    void on_accept(int descriptor, const base::SocketAddress& peer) override {
        proxy::ClientConnection::accept(worker_.core_, facts_, descriptor, peer);
        if (worker_.full()) worker_.pause_accepting("limits.connections reached");
    }
    void on_accept_exhausted(int error) override { worker_.pause_accepting(std::strerror(error)); }

    Worker& worker_;
    proxy::ListenerFacts facts_;
    net::Listener listener_;
};

Worker::Worker(unsigned index, std::shared_ptr<const proxy::Snapshot> snapshot,
               proxy::AccessLogWriter* log_writer, std::vector<WorkerListener> listeners,
               std::size_t max_connections, std::function<void()> finished)
    : index_(index),
      mailbox_(loop_),
      core_(loop_, index, std::move(snapshot), log_writer),
      max_connections_(max_connections),
      resume_timer_(base::Timer::calling<&Worker::resume_accepting>(this)),
      log_timer_(base::Timer::calling<&Worker::on_log_timer>(this)),
      idle_timer_(base::Timer::calling<&Worker::close_idle>(this)),
      grace_timer_(base::Timer::calling<&Worker::cut_all>(this)),
      finished_(std::move(finished)) {
    for (WorkerListener& listener : listeners)
        gates_.push_back(std::make_unique<Gate>(*this, std::move(listener)));
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
    if (core_.access_log.enabled()) on_log_timer();
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
    if (core_.stopping && core_.connection_count == 0) loop_.stop();
}

void Worker::publish(std::shared_ptr<const proxy::Snapshot> snapshot) {
    mailbox_.post([this, next = std::move(snapshot)]() mutable { core_.publish(std::move(next)); });
}

void Worker::server_down(std::shared_ptr<pool::ServerState> server, bool cut_off) {
    mailbox_.post([this, down = std::move(server), cut_off] { core_.pools.server_down(*down, cut_off); });
}

void Worker::stop(std::chrono::milliseconds grace) {
    mailbox_.post([this, grace] { begin_stop(grace); });
}

void Worker::begin_stop(std::chrono::milliseconds grace) {
    for (auto& gate : gates_)
        gate->drain();
    core_.stopping = true;
    base::TimerWheel::disarm(resume_timer_);
    loop_.timers().arm(idle_timer_, loop_.now_ms() + kIdleGraceMs);
    if (grace.count() <= 0) {
        cut_all();
    } else {
        loop_.timers().arm(grace_timer_, loop_.now_ms() + static_cast<std::uint64_t>(grace.count()));
    }
}

void Worker::close_idle() {
    for (auto* connection = core_.connections.front(); connection != nullptr;) {
        auto* next = core_.connections.next(connection);
        connection->wind_down();
        connection = next;
    }
}

void Worker::cut_all() {
    if (core_.connection_count > 0) {
        base::log_warning("worker {}: {} connections cut at the end of shutdown_grace", index_,
                          core_.connection_count);
    }
    while (auto* connection = core_.connections.front())
        connection->abort();
}

void Worker::on_log_timer() {
    core_.access_log.flush();
    loop_.timers().arm(log_timer_, loop_.now_ms() + kLogFlushMs);
}

void Worker::pause_accepting(std::string_view why) {
    for (auto& gate : gates_)
        gate->pause();
    paused_ = true;
    if (!std::exchange(pause_logged_, true)) {
        base::log_warning("worker {}: accepting is paused at {} client connections: {}", index_,
                          core_.connection_count, why);
    }
    loop_.timers().arm(resume_timer_, loop_.now_ms() + kResumeMs);
}

void Worker::resume_accepting() {
    if (!paused_ || core_.stopping) return;
    if (full()) {
        loop_.timers().arm(resume_timer_, loop_.now_ms() + kResumeMs);
        return;
    }
    paused_ = false;
    // Said again only after there was ample room in between.
    if (core_.connection_count < max_connections_ / 2) pause_logged_ = false;
    for (auto& gate : gates_)
        gate->resume();
}

}  // namespace palier::app
