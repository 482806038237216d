// Exchange: after a 101, bytes go both ways untouched until both ends have closed (RFC 9110 section 7.8).
#include "palier/proxy/client_stream.h"
#include "palier/proxy/exchange.h"
#include "palier/proxy/scratch.h"
#include "palier/proxy/worker_core.h"

namespace palier::proxy {
namespace {

constexpr std::size_t kTunnelRead = 64 * 1024;
constexpr int kReadsPerTurn = 4;
constexpr std::chrono::milliseconds kLastWords{2'000};  // for a side that does not take them

}  // namespace

void Exchange::start_tunnel(const http::ResponseHead& head, std::string_view rest) {
    lease_.begin_tunnel();
    ++core_.tunnels;
    status_ = head.status;
    state_ = State::tunnel;
    head_sent_ = true;
    keep_alive_ = false;
    first_out_us_ = core_.loop.now_us();
    bytes_out_ += client_->start_tunnel(head, rest);
    lease_.connection()->in().release();
    arm_backend(config().timeouts.tunnel);
    // What the client sent behind its request, before the 101, is waiting in its connection.
    client_->resume_body();
    if (state_ == State::tunnel) tunnel_from_backend();
}

void Exchange::tunnel_from_client(const char* begin, const char* end) {
    bytes_in_ += static_cast<std::size_t>(end - begin);
    write_to_backend(begin, end);
    if (request_broken_) backend_eof_ = true;
}

void Exchange::tunnel_from_backend() {
    tls::Transport& backend = lease_.connection()->transport();
    for (int reads = 0; !backend_eof_ && !client_->blocked() && backend.readable(); ++reads) {
        if (reads == kReadsPerTurn) {
            core_.loop.again(*this);
            return;
        }
        char* data = core_.scratch.data();
        const net::IoResult got = backend.read(data, kTunnelRead);
        if (got.status == net::IoStatus::would_block) return;
        if (got.status == net::IoStatus::failed) {
            // Not an end that anybody has said: the client is to know.
            reason_ = Termination::backend_cut;
            client_->cut();
            return;
        }
        if (got.status == net::IoStatus::closed) {
            backend_eof_ = true;
            break;
        }
        bytes_out_ += got.size;
        arm_backend(config().timeouts.tunnel);
        client_->write_tunnel(data, data + got.size);
    }
    if (backend_eof_) tunnel_progress();
}

/// As if both sides had ended it, so that each hears of it in good order; what was read already goes through first.
void Exchange::on_tunnel_unwanted() {
    reason_ = Termination::tunnel_ended;
    client_eof_ = backend_eof_ = true;
    arm_backend(kLastWords);
    tunnel_progress();
}

/// Something was written or an end has closed: passes the close on once all before it is through, and ends
/// the exchange when both ends have closed.
void Exchange::tunnel_progress() {
    pool::BackendConnection& connection = *lease_.connection();
    if (!connection.drained()) static_cast<void>(flush_backend());
    if (request_broken_) backend_eof_ = client_eof_ = true;
    const bool to_backend_done = connection.drained();
    const bool to_client_done = !client_->blocked();
    if (client_eof_ && to_backend_done && !request_broken_) connection.transport().shutdown_write();
    if (backend_eof_ && to_client_done) client_->end_tunnel();
    if (client_eof_ && backend_eof_ && to_client_done && (to_backend_done || request_broken_)) {
        finish(reason_ == Termination::ok ? Termination::tunnel : reason_, false);
        return;
    }
    if (to_backend_done && !client_eof_) client_->resume_body();
    if (state_ == State::tunnel && to_client_done && !backend_eof_ && connection.transport().readable()) {
        core_.loop.again(*this);
    }
}

}  // namespace palier::proxy
