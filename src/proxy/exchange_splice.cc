// Exchange: large bodies of known length, which go from socket to socket through a pipe and never come to
// user space.
#include "palier/proxy/client_stream.h"
#include "palier/proxy/exchange.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>

namespace palier::proxy {
namespace {

constexpr std::uint64_t kSpliceLeast = 512 * 1024;  // bytes still to come; below, a copy is cheaper
constexpr std::uint64_t kSpliceMost = 1024 * 1024;  // bytes at a time
constexpr int kMovesPerTurn = 4;                    // then other connections have theirs

bool worth_splicing(const http::BodyReader& body) {
    return body.plain_remaining() >= kSpliceLeast;
}

std::size_t portion(const http::BodyReader& body) {
    return static_cast<std::size_t>(std::min(body.plain_remaining(), kSpliceMost));
}

}  // namespace

/// Whether the rest of the response goes through a pipe; takes one if so.
bool Exchange::splices_response() {
    if (response_pipe_) return true;
    if (state_ != State::relaying || !worth_splicing(response_body_) || !client_->takes_pipes() ||
        lease_.connection()->transport().encrypted()) {
        return false;
    }
    response_pipe_ = core_.take_pipe();
    return response_pipe_ != nullptr;
}

void Exchange::splice_response() {
    net::Socket& backend = lease_.connection()->transport().socket();
    for (int moves = 0;; ++moves) {
        if (!response_pipe_->empty()) {
            bytes_out_ += client_->take_from(*response_pipe_);
            if (client_->blocked()) return;
        }
        if (response_body_.plain_remaining() == 0) break;
        if (moves == kMovesPerTurn) {
            core_.loop.again(*this);
            return;
        }
        const net::IoResult got = response_pipe_->fill(backend, portion(response_body_));
        switch (got.status) {
            case net::IoStatus::would_block:
                return;
            case net::IoStatus::closed:
                on_backend_closed();
                return;
            case net::IoStatus::failed:
                backend_failed(Fault::cut, "connection reset");
                return;
            case net::IoStatus::ok:
                break;
        }
        response_body_.pass(got.size);
        arm_backend(config().timeouts.server);
    }
    core_.give_pipe(std::move(response_pipe_));
    // A connection is reused only if nothing follows its response.
    backend_reusable_ = backend.quiet() && backend_reusable_;
    response_ended_ = true;
    response_complete();
}

bool Exchange::splices_body() {
    if (request_pipe_) return true;
    if (state_ == State::tunnel || request_body_.length().framing != http::Framing::length ||
        !worth_splicing(request_body_) || lease_.connection()->transport().encrypted()) {
        return false;
    }
    request_pipe_ = core_.take_pipe();
    return request_pipe_ != nullptr;
}

/// Moves to the backend what the request's pipe holds; true when nothing is left.
bool Exchange::flush_pipe() {
    const net::IoResult sent = request_pipe_->drain(lease_.connection()->transport().socket());
    if (sent.status == net::IoStatus::failed) {
        request_broken_ = true;
        core_.loop.again(*this);
        return false;
    }
    if (sent.size > 0) arm_sending();
    if (!request_pipe_->empty()) return false;
    if (request_ended_) core_.give_pipe(std::move(request_pipe_));
    return true;
}

net::IoStatus Exchange::splice_body(net::Socket& client) {
    const net::IoResult got = request_pipe_->fill(client, portion(request_body_));
    if (got.status != net::IoStatus::ok) return got.status;
    held_whole_ = awaits_continue_ = false;
    bytes_in_ += got.size;
    request_body_.pass(got.size);
    if (request_body_.plain_remaining() == 0) {
        request_ended_ = true;
        static_cast<void>(client.quiet());  // whether the next request is there already
    }
    static_cast<void>(flush_backend());
    return net::IoStatus::ok;
}

}  // namespace palier::proxy
