#include "palier/pool/backend_connection.h"

#include "palier/base/result.h"
#include "palier/pool/worker_pool.h"

namespace palier::pool {

BackendConnection::BackendConnection(net::Loop& loop, WorkerServer& server, base::BufferCache& buffers)
    : loop_(loop),
      server_(server),
      timer_(base::Timer::calling<&BackendConnection::on_timer>(this)),
      in_(&buffers),
      out_(&buffers),
      plan_(server.plan_) {}

base::Result<void> BackendConnection::connect() {
    return transport_.socket().connect(loop_, server_.server().address, *this);
}

BackendConnection::Opening BackendConnection::go_on_opening(std::string& why) {
    const auto& context = server_.server().tls;
    if (!transport_.encrypted()) {
        if (const int error = transport_.socket().connect_error(); error != 0) {
            why = base::system_failure("connect", error).error().message;
            return Opening::failed;
        }
        if (transport_.readable()) {
            why = "spoke or closed before it was asked";
            return Opening::spoke;
        }
        if (context && !transport_.start_client(*context, server_.pool().tls_workspace())) {
            why = "no memory for TLS";
            return Opening::failed;
        }
    }
    if (context) {
        switch (transport_.handshake()) {
            case tls::Handshake::again:
                return Opening::shaking_hands;
            case tls::Handshake::done:
                break;
            case tls::Handshake::plain_http:
            case tls::Handshake::failed:
                why = "TLS handshake: " + transport_.why();
                return Opening::failed;
        }
    }
    return Opening::open;
}

void BackendConnection::on_events(std::uint32_t ready) {
    if (!transport_.open()) return;
    transport_.note(ready);
    if (user_ != nullptr) {
        user_->on_backend_events(ready);
    } else if ((ready & net::kReadable) != 0) {
        // Idle: whatever comes, an end or bytes that nobody asked for, makes it unfit; but for what TLS says
        // about its session.
        if (!transport_.encrypted() || !transport_.quiet()) server_.discard(*this);
    }
}

void BackendConnection::on_timer() {
    if (sending_) {
        const std::uint64_t next = send_deadline_.look(transport_.socket(), loop_.now_ms());
        if (next != net::SendDeadline::kOver) {
            loop_.timers().arm(timer_, next);
            return;
        }
    }
    if (user_ != nullptr) {
        user_->on_backend_deadline();
    } else {
        server_.discard(*this);
    }
}

}  // namespace palier::pool
