// Exchange: the response's way from a backend to the client.
#include "palier/base/assert.h"
#include "palier/http/h1_writer.h"
#include "palier/proxy/body_relay.h"
#include "palier/proxy/client_connection.h"
#include "palier/proxy/exchange.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace palier::proxy {
namespace {

constexpr std::size_t kFirstRead = 64 * 1024;
constexpr int kReadsPerTurn = 4;                // then other connections have theirs
constexpr std::uint8_t kMaxInformational = 16;  // 1xx responses before the final one
constexpr std::size_t kChunkSizeRoom = 20;

}  // namespace

/// What is readable in the very turn in which a pooled connection was given its request had come before that:
/// it is no answer to it.
bool Exchange::spoke_unasked(std::uint32_t ready) const {
    return state_ == State::awaiting && (ready & net::kReadable) != 0 && lease_.connection()->reused() &&
           asked_in_turn_ == core_.loop.turn();
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
            reason_ = Termination::tunnel_timeout;
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
    net::Socket& socket = lease_.connection()->socket();
    if (request_broken_) socket.note(net::kReadable);  // its event may still be on the way
    read_response();
    if (state_ == State::awaiting && request_broken_ && !socket.readable()) {
        backend_failed(Fault::reset, "the connection was closed while the request was sent");
    }
}

void Exchange::read_response() {
    if (read_size_ == 0) read_size_ = kFirstRead;
    for (int reads = 0; !client_->blocked() && !response_ended_; ++reads) {
        if (splices_response()) {
            splice_response();
            return;
        }
        net::Socket& socket = lease_.connection()->socket();
        if (!socket.readable()) return;
        if (reads == kReadsPerTurn) {
            core_.loop.again(*this);
            return;
        }
        char* data = core_.scratch.data();
        const net::IoResult got = socket.read(data, read_size_);
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
        if (got.size == read_size_) read_size_ = Scratch::kCapacity;
        take_response(data, data + got.size);
        if (state_ != State::awaiting && state_ != State::relaying) return;
    }
    // A client that does not keep up costs memory for what was read for it: read less at a time.
    if (client_->blocked()) read_size_ = kFirstRead;
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
        forward_informational(head);
        bytes = rest;
        if (bytes.empty()) {
            in.clear();
            return;
        }
    }
}

void Exchange::forward_informational(const http::ResponseHead& head) {
    if (client_minor_ == 0) return;  // RFC 9110 section 15.2: never to an HTTP/1.0 client
    http::write_response_head(core_.head_out, head, {.body = {}, .minor = client_minor_});
    bytes_out_ += core_.head_out.size();
    client_->write(core_.head_out.data(), core_.head_out.data() + core_.head_out.size());
    core_.head_out.clear();
    if (head.status == 100 && std::exchange(awaits_continue_, false) && wants_body()) client_->resume_body();
}

/// The final head is here. `rest` follows it; when that is in the scratch buffer, it is at `place`.
void Exchange::start_response(const http::ResponseHead& head, char* place, std::string_view rest) {
    const bool retry_status = head.status >= 502 && head.status <= 504;
    if (retry_status && may_retry(Fault::status, head.status)) {
        backend_failed(Fault::status, "HTTP " + std::to_string(head.status));
        return;
    }
    if (head.status >= 500) {
        lease_.failure("HTTP " + std::to_string(head.status));
    } else {
        lease_.success();
    }
    state_ = State::relaying;
    status_ = head.status;
    backend_reusable_ = head.keep_alive && head.body.framing != http::Framing::until_close;
    response_body_.start(head.body, config().limits.header_size);

    http::BodyLength body = head.body;
    if (body.framing == http::Framing::chunked || body.framing == http::Framing::until_close) {
        body.framing = client_minor_ == 1 ? http::Framing::chunked : http::Framing::until_close;
    }
    response_framing_ = body.framing;
    // A client that is still sending is told to close: what remains of its request is dropped after the
    // answer.
    keep_alive_ = may_keep_alive() && body.framing != http::Framing::until_close;
    http::write_response_head(
        core_.head_out, head,
        {.body = body, .minor = client_minor_, .keep_alive = keep_alive_, .head_request = head_request_});
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
        core_.head_out.clear();
        backend_failed(head_sent_ ? Fault::cut : Fault::bad_response, "malformed chunked body");
        return;
    }
    char* out = body.begin;
    char* out_end = body.end;
    response_ended_ = body.ended;
    if (body.ended && body.consumed != static_cast<std::size_t>(end - begin)) backend_reusable_ = false;

    base::Buffer& head = core_.head_out;
    const bool with_head = !head.empty();
    if (with_head && head.size() <= Scratch::kHeadroom - kChunkSizeRoom) {
        out -= head.size();
        std::memcpy(out, head.data(), head.size());
        head.clear();
    }
    if (body.ended && response_framing_ == http::Framing::chunked) {
        const std::string_view trailers = client_minor_ == 1 ? response_body_.trailers() : std::string_view{};
        if (last_chunk_size(trailers) <= Scratch::kTailroom / 2 ||
            last_chunk_size(trailers) <= static_cast<std::size_t>(end - out_end)) {
            out_end = write_last_chunk(out_end, trailers);
        } else {
            append_last_chunk(tail_, trailers);
        }
    }
    if (first_out_us_ == 0) first_out_us_ = core_.loop.now_us();
    bytes_out_ += head.size() + static_cast<std::size_t>(out_end - out) + tail_.size();
    if (!head.empty()) {  // larger than the headroom
        client_->write(head.data(), head.data() + head.size());
        head.clear();
    }
    if (out != out_end) client_->write(out, out_end);
    if (!tail_.empty()) {
        client_->write(tail_.data(), tail_.data() + tail_.size());
        tail_.release();
    }
    head_sent_ = true;
    if (response_ended_) response_complete();
}

void Exchange::response_complete() {
    pool::BackendConnection& connection = *lease_.connection();
    const bool clean = backend_reusable_ && request_ended_ && !request_broken_ &&
                       request_sent_ == request_.size() && connection.out().empty() && !request_pipe_;
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
    if (response_framing_ == http::Framing::chunked) {
        char* end = write_last_chunk(core_.scratch.data(), {});
        bytes_out_ += static_cast<std::size_t>(end - core_.scratch.data());
        client_->write(core_.scratch.data(), end);
    }
    response_complete();
}

}  // namespace palier::proxy
