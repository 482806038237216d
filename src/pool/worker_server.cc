#include "palier/pool/worker_pool.h"

namespace palier::pool {
namespace {

constexpr std::size_t kMaxIdle = 1024;  // connections kept for one server by one worker

}  // namespace

WorkerServer::WorkerServer(WorkerPool& pool, Server server)
    : pool_(pool),
      server_(std::move(server)),
      counters_(&server_.state->counters[pool.environment_.worker]) {}

WorkerServer::~WorkerServer() {
    PALIER_ASSERT(leases_ == 0);
    close_idle();
}

BackendConnection* WorkerServer::take_idle() {
    BackendConnection* connection = idle_.pop_front();
    if (connection == nullptr) return nullptr;
    --idle_count_;
    connection->reused_ = true;
    leased_.push_front(*connection);
    return connection;
}

BackendConnection& WorkerServer::new_connection() {
    auto& environment = pool_.environment_;
    auto* connection = new BackendConnection(environment.loop, *this, environment.buffers);
    leased_.push_front(*connection);  // owned by the list it is in, until discard()
    return *connection;
}

void WorkerServer::park(BackendConnection& connection) {
    // Readable: its end has come with the response, or bytes that nobody asked for.
    if (removed_ || idle_count_ >= kMaxIdle || !connection.transport().open() ||
        connection.transport().readable()) {
        discard(connection);
        return;
    }
    connection.user_ = nullptr;
    connection.in_.release();
    connection.out_.release();
    connection.unlink();
    idle_.push_front(connection);
    ++idle_count_;
    connection.set_deadline(pool_.environment_.server_idle_ms);
}

void WorkerServer::discard(BackendConnection& connection) {
    if (connection.user_ == nullptr && connection.linked() && connection.transport().open()) {
        // It was idle; a new connection always has its user.
        --idle_count_;
    }
    connection.user_ = nullptr;
    connection.unlink();
    connection.transport().close();
    base::TimerWheel::disarm(connection.timer_);
    connection.in_.release();
    connection.out_.release();
    pool_.environment_.loop.defer_delete(std::unique_ptr<BackendConnection>(&connection));
}

void WorkerServer::close_idle() {
    while (BackendConnection* connection = idle_.front())
        discard(*connection);
}

void WorkerServer::cut_off() {
    for (auto* connection = leased_.front(); connection != nullptr; connection = leased_.next(connection))
        connection->cut_off_now();
}

}  // namespace palier::pool
