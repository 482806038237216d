#include "palier/pool/worker_pool.h"

namespace palier::pool {
namespace {

constexpr std::size_t kMaxIdle = 1024;  // connections kept for one server by one worker

}  // namespace

WorkerServer::WorkerServer(WorkerPool& pool, const Server& server)
    : pool_(pool), server_(&server), counters_(&server.state->counters[pool.environment_.worker]) {}

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
    WorkerCounters::add<std::uint32_t>(counters_->connections, 1);
    return *connection;
}

void WorkerServer::park(BackendConnection& connection) {
    const bool wanted =
        !removed_from_ && !pool_.retired_ && server_->admin == Admin::enabled && connection.plan_ == plan_;
    // Readable: its end has come with the response, or bytes that nobody asked for.
    if (!wanted || idle_count_ >= kMaxIdle || !connection.transport().open() ||
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

void WorkerServer::begin_tunnel(BackendConnection& connection) {
    connection.tunnel_ = true;
    connection.unlink();
    tunnels_.push_front(connection);
    WorkerCounters::add<std::uint32_t>(counters_->tunnels, 1);
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
    WorkerCounters::add<std::uint32_t>(counters_->connections, static_cast<std::uint32_t>(-1));
    if (connection.tunnel_)
        WorkerCounters::add<std::uint32_t>(counters_->tunnels, static_cast<std::uint32_t>(-1));
    pool_.environment_.loop.defer_delete(std::unique_ptr<BackendConnection>(&connection));
}

void WorkerServer::close_idle() {
    while (BackendConnection* connection = idle_.front())
        discard(*connection);
}

void WorkerServer::close_idle(std::size_t& most) {
    for (; most > 0 && !idle_.empty(); --most)
        discard(*idle_.front());
}

void WorkerServer::end_tunnels(std::size_t& most) {
    for (; most > 0 && !tunnels_.empty(); --most) {
        BackendConnection& tunnel = *tunnels_.pop_front();
        leased_.push_front(tunnel);  // it may have bytes to send before its end
        tunnel.user_->on_tunnel_unwanted();
    }
}

void WorkerServer::cut_off() {
    for (auto* of : {&leased_, &tunnels_}) {
        for (auto* connection = of->front(); connection != nullptr; connection = of->next(connection))
            connection->cut_off_now();
    }
}

void WorkerServer::renew(const Server& server) {
    if (server.tls != server_->tls) {
        ++plan_;
        close_idle();
    }
    server_ = &server;
}

void WorkerServer::remove(std::shared_ptr<const PoolSnapshot> last) {
    removed_from_ = std::move(last);
}

}  // namespace palier::pool
