#include "palier/pool/backend_connection.h"

#include "palier/pool/worker_pool.h"

namespace palier::pool {

BackendConnection::BackendConnection(net::Loop& loop, WorkerServer& server, base::BufferCache& buffers)
    : loop_(loop),
      server_(server),
      timer_(base::Timer::calling<&BackendConnection::on_timer>(this)),
      in_(&buffers),
      out_(&buffers) {}

base::Result<void> BackendConnection::connect() {
    return socket_.connect(loop_, server_.server().address, *this);
}

void BackendConnection::on_events(std::uint32_t ready) {
    if (!socket_.open()) return;
    socket_.note(ready);
    if (user_ != nullptr) {
        user_->on_backend_events(ready);
    } else if ((ready & net::kReadable) != 0) {
        // Idle: whatever comes, an end or bytes that nobody asked for, makes it unfit.
        server_.discard(*this);
    }
}

void BackendConnection::on_timer() {
    if (user_ != nullptr) {
        user_->on_backend_deadline();
    } else {
        server_.discard(*this);
    }
}

}  // namespace palier::pool
