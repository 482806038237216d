// Exchange: the response's way from a backend to the client.
#include "palier/base/assert.h"
#include "palier/http/h1_writer.h"
#include "palier/proxy/body_relay.h"
#include "palier/proxy/client_stream.h"
#include "palier/proxy/exchange.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace palier::proxy {
namespace {

constexpr int kReadsPerTurn = 4;                // then other connections have theirs
constexpr std::uint8_t kMaxInformational = 16;  // 1xx responses before the final one

}  // namespace

/// What is readable in the very turn in which a pooled connection was given its request had come before that:
/// it is no answer to it. (TLS peers may speak about the session at any time.)
bool Exchange::spoke_unasked(std::uint32_t ready) const {
    return state_ == State::awaiting && (ready & net::kReadable) != 0 && lease_.connection()->reused() &&
           !lease_.connection()->transport().encrypted() && asked_in_turn_ == core_.loop.turn();
}

void Exchange::on_backend_events(std::uint32_t ready) {
    switch (state_) {
        case State::connecting:
            on_connected();
            return;
        case State::awaiting:
        case State::relaying:
            if (spoke_unasked(ready)) {
                backend_failed(Fault::reset,
                               "bytes that nobody asked for, or a close, on an idle connection");
                return;
            }
            if ((ready & net::kWritable) != 0 && flush_backend() && wants_body()) client_->resume_body();
            if (state_ == State::awaiting || state_ == State::relaying) read_response();
            return;
        case State::tunnel:
            if ((ready & net::kWritable) != 0) tunnel_progress();
            if (state_ == State::tunnel) tunnel_from_backend();
            return;
        case State::idle:
        case State::answering:
        case State::queued:
        case State::finished:
            return;
    }
}

void Exchange::on_backend_deadline() {
    switch (state_) {
        case State::connecting:
            backend_failed(Fault::connect_timeout, "connect timed out");
            return;
        case State::awaiting:
            if (!wants_body()) {
                backend_failed(Fault::timeout, "no response head in time");
            } else if (awaits_continue_) {
                // Each side may wait for the other (RFC 9110 section 10.1.1): the server is not to blame.
                answer_error(504, Termination::backend_timeout);
            } else {
                // The client is still sending its body: the deadline is the client's.
                arm_backend(config().timeouts.server);
            }
            return;
        case State::relaying:
            if (client_->blocked()) {
                arm_backend(config().timeouts.server);
            } else {
                backend_failed(Fault::timeout, "the response body stopped");
            }
            return;
        case State::tunnel:
            if (reason_ == Termination::ok) reason_ = Termination::tunnel_timeout;
            client_->cut();
            return;
        case State::idle:
        case State::answering:
        case State::queued:
        case State::finished:
            return;
    }
}

void Exchange::on_again() {
    if (state_ == State::tunnel) {
        tunnel_from_backend();
        return;
    }
    if ((state_ != State::awaiting && state_ != State::relaying) || response_ended_) return;
    tls::Transport& backend = lease_.connection()->transport();
    if (request_broken_) backend.note(net::kReadable);  // its event may still be on the way
    read_response();
    if (state_ == State::awaiting && request_broken_ && !backend.readable()) {
        backend_failed(Fault::reset, "the connection was closed while the request was sent");
    }
}

void Exchange::read_response() {
    for (int reads = 0; !client_->blocked() && !response_ended_; ++reads) {
        if (splices_response()) {
            splice_response();
            return;
        }
        tls::Transport& backend = lease_.connection()->transport();
        if (!backend.readable()) return;
        if (reads == kReadsPerTurn) {
            core_.loop.again(*this);
            return;
        }
        char* data = core_.scratch.data();
        const Appetite appetite = client_->appetite();
        const std::size_t most = reads_more_ ? appetite.most : appetite.first;
        const net::IoResult got = backend.read(data, most);
        switch (got.status) {
            case net::IoStatus::would_block:
                return;
            case net::IoStatus::closed:
                on_backend_closed();
                return;
            case net::IoStatus::failed:
                backend_failed(state_ == State::awaiting ? Fault::reset : Fault::cut, "connection reset");
                return;
            case net::IoStatus::ok:
                break;
        }
        if (got.size == most) reads_more_ = true;
        take_response(data, data + got.size);
        if (state_ != State::awaiting && state_ != State::relaying) return;
    }
    // A client that does not keep up costs memory for what was read for it: read less at a time.
    if (client_->blocked()) reads_more_ = false;
}

void Exchange::take_response(char* begin, char* end) {
    if (state_ == State::awaiting) {
        take_response_head(begin, end);
    } else {
        arm_backend(config().timeouts.server);
        relay_response(begin, end);
    }
}

void Exchange::take_response_head(char* begin, char* end) {
    base::Buffer& in = lease_.connection()->in();
    std::string_view bytes(begin, static_cast<std::size_t>(end - begin));
    const bool gathered = !in.empty();
    if (gathered) {
        in.append(bytes);
        bytes = in.view();
    }
    for (;;) {
        const http::HeadResult result =
            core_.response_parser.parse(bytes, head_seen_, method_, wants_upgrade_);
        if (result.state == http::HeadState::refused) {
            backend_failed(Fault::bad_response, http::text_of(result.refusal));
            return;
        }
        if (result.state == http::HeadState::incomplete) {
            head_seen_ = static_cast<std::uint32_t>(bytes.size());
            if (gathered) {
                in.consume(in.size() - bytes.size());
            } else {
                in.append(bytes);
            }
            return;
        }
        const http::ResponseHead& head = core_.response_parser.head();
        head_seen_ = 0;
        const std::string_view rest = bytes.substr(result.consumed);
        if (head.status == 101) {
            start_tunnel(head, rest);
            return;
        }
        if (head.status >= 200) {
            start_response(head, gathered ? begin : begin + (rest.data() - begin), rest);
            return;
        }
        if (++informational_ > kMaxInformational) {
            backend_failed(Fault::bad_response, "too many informational responses");
            return;
        }
        inform(head);
        bytes = rest;
        if (bytes.empty()) {
            in.clear();
            return;
        }
    }
}

void Exchange::inform(const http::ResponseHead& head) {
    bytes_out_ += client_->inform(head);
    if (head.status == 100 && std::exchange(awaits_continue_, false) && wants_body()) client_->resume_body();
}

/// The final head is here. `rest` follows it; when that is in the scratch buffer, it is at `place`.
void Exchange::start_response(const http::ResponseHead& head, char* place, std::string_view rest) {
    lease_.answered(head.status);
    const bool retry_status = head.status >= 502 && head.status <= 504;
    if (retry_status && may_retry(Fault::status, head.status)) {
        backend_failed(Fault::status, "HTTP " + std::to_string(head.status));
        return;
    }
    state_ = State::relaying;
    status_ = head.status;
    backend_reusable_ = head.keep_alive && head.body.framing != http::Framing::until_close;
    response_body_.start(head.body, config().limits.header_size);

    // A client that is still sending is told to close: what remains of its request is dropped after the
    // answer.
    const ResponseTerms terms = client_->start_response(head, may_keep_alive(), head_request_);
    response_framing_ = terms.framing;
    keep_alive_ = terms.keep_alive;
    arm_backend(config().timeouts.server);

    base::Buffer& in = lease_.connection()->in();
    if (!in.empty()) {
        // The head came in pieces: its rest moves to the scratch buffer, whose bytes it holds a copy of.
        place = core_.scratch.data();
        std::memcpy(place, rest.data(), rest.size());
        in.release();
    }
    relay_response(place, place + rest.size());
}

/// Sends body bytes on, behind the head if that is still here.
void Exchange::relay_response(char* begin, char* end) {
    const RelayedBody body = relay_body(response_body_, begin, end, response_framing_);
    if (body.broken) {
        client_->drop_response();
        backend_failed(head_sent_ ? Fault::cut : Fault::bad_response, "malformed chunked body");
        return;
    }
    response_ended_ = body.ended;
    if (body.ended && body.consumed != static_cast<std::size_t>(end - begin)) backend_reusable_ = false;
    if (first_out_us_ == 0) first_out_us_ = core_.loop.now_us();
    const std::size_t room = std::max(Scratch::kTailroom / 2, static_cast<std::size_t>(end - body.end));
    bytes_out_ += client_->write_body(body.begin, body.end, room, body.ended,
                                      body.ended ? response_body_.trailers() : std::string_view{});
    head_sent_ = true;
    if (response_ended_) response_complete();
}

void Exchange::response_complete() {
    pool::BackendConnection& connection = *lease_.connection();
    const bool clean = backend_reusable_ && request_ended_ && !request_broken_ &&
                       request_sent_ == request_.size() && connection.drained() && !request_pipe_;
    if (clean) {
        lease_.release();
    } else {
        lease_.discard();
    }
    keep_alive_ = keep_alive_ && request_ended_;
    if (!client_->blocked()) finish(Termination::ok, keep_alive_);
}

void Exchange::on_backend_closed() {
    if (state_ == State::awaiting) {
        backend_failed(Fault::reset, "closed before the response head");
        return;
    }
    if (!response_body_.finish()) {
        backend_failed(Fault::cut, "closed in the middle of the body");
        return;
    }
    response_ended_ = true;
    backend_reusable_ = false;
    char* nothing = core_.scratch.data();
    bytes_out_ += client_->write_body(nothing, nothing, Scratch::kTailroom, true, {});
    response_complete();
}

}  // namespace palier::proxy
