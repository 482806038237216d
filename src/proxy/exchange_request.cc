// Exchange: the request's way from the client to a backend.
#include "palier/base/log.h"
#include "palier/http/h1_writer.h"
#include "palier/http/path.h"
#include "palier/proxy/body_relay.h"
#include "palier/proxy/client_stream.h"
#include "palier/proxy/exchange.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>
#include <cerrno>

namespace palier::proxy {
namespace {

/// This machine has run out of something; no server is to blame, and none would do better.
bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == ENOSPC ||
           error == EADDRNOTAVAIL;
}

}  // namespace

void Exchange::begin(ClientStream& client, const http::RequestHead& head, http::BodyLength body,
                     std::uint64_t first_byte_us, std::size_t head_size) {
    reset();
    client_ = &client;
    started_us_ = first_byte_us;
    bytes_in_ = head_size;
    take_head(head);
    if (refused_status_ != 0) return;
    join_pool();
    request_framing_ = head.body.framing;
    request_body_.start(body, config().limits.header_size);
    if (request_framing_ == http::Framing::none ||
        (request_framing_ == http::Framing::length && head.body.length == 0)) {
        request_ended_ = true;
    }
}

/// Routes the request and writes its head as a backend will get it.
void Exchange::take_head(const http::RequestHead& head) {
    const base::IpAddress& ip = client_->peer().ip();
    client_text_size_ = static_cast<std::uint8_t>(ip.format(client_text_.data()));
    core_.make_request_id(request_id_.data());
    client_keep_alive_ = head.keep_alive;
    method_ = head.method;
    head_request_ = head.method == http::Method::head;
    wants_upgrade_ = head.wants_upgrade;
    awaits_continue_ = head.expects_continue;
    trusted_ = std::ranges::any_of(config().trusted_proxies,
                                   [&](const auto& network) { return network.contains(ip); });

    const auto path = http::canonical_path(head.path, core_.path_storage);
    if (!path.ok) {
        client_keep_alive_ = false;
        refused_status_ = 400;
        reason_ = Termination::bad_request;
        return;
    }
    const ListenerFacts& listener = client_->listener();
    // "OPTIONS *" asks about the server as a whole: it goes where "/" would.
    const std::string_view routed = path.match == "*" ? "/" : path.match;
    route_ = snapshot_->router(listener.index).find(head.host, routed);
    const http::ClientView view{.address = {client_text_.data(), client_text_size_},
                                .scheme = listener.scheme,
                                .port = listener.port,
                                .request_id = {request_id_.data(), request_id_.size()},
                                .trusted = trusted_,
                                .default_host = head.authority.empty() ? host_of_pool() : std::string_view{},
                                .subject = client_->subject()};
    http::write_request_head(request_, head, path.forward, head.body, view);
    method_size_ = static_cast<std::uint32_t>(head.method_token.size());
    path_size_ = static_cast<std::uint32_t>(path.forward.size());
    host_size_ = static_cast<std::uint32_t>(head.authority.size());

    const std::uint64_t most = config().limits.body;
    if (most != 0 && head.body.framing == http::Framing::length && head.body.length > most) {
        client_keep_alive_ = false;
        refused_status_ = 413;
        reason_ = Termination::body_too_large;
    }
    if (core_.short_of_memory) [[unlikely]] {
        ++core_.refused;
        client_keep_alive_ = false;
        refused_status_ = 503;
        reason_ = Termination::no_memory;
    }
}

/// What an HTTP/1.0 request that names no host is given: servers of HTTP/1.1 want one.
std::string_view Exchange::host_of_pool() const {
    const auto* forward = route_ == nullptr ? nullptr : std::get_if<config::ForwardAction>(&route_->action);
    return forward == nullptr ? std::string_view("localhost")
                              : config().pools[forward->pool].servers.front().host;
}

/// The bytes are kept behind the head.
std::size_t Exchange::hold_body(char* begin, char* end) {
    if (refused_status_ != 0 || request_ended_) return 0;
    const RelayedBody body = relay_body(request_body_, begin, end, request_framing_);
    if (body.broken) {
        client_keep_alive_ = false;
        refused_status_ = 400;
        reason_ = Termination::bad_request;
        return body.consumed;
    }
    bytes_in_ += body.consumed;
    if (body.consumed > 0) awaits_continue_ = false;
    request_.append({body.begin, static_cast<std::size_t>(body.end - body.begin)});
    if (body.ended) {
        request_ended_ = true;
        if (request_framing_ == http::Framing::chunked) append_last_chunk(request_, request_body_.trailers());
    }
    if (config().limits.body != 0 && request_body_.received() > config().limits.body) {
        client_keep_alive_ = false;
        refused_status_ = 413;
        reason_ = Termination::body_too_large;
    }
    return body.consumed;
}

void Exchange::choose_server() {
    if (pool_->snapshot().maintenance) {
        answer_maintenance();
        return;
    }
    switch (pool_->pick(tried_, lease_)) {
        case pool::Pick::leased:
            base::TimerWheel::disarm(queue_timer_);
            ++tries_;
            last_server_ = lease_.server().state.get();
            picked_under_ = core_.snapshot;
            use_connection();
            return;
        case pool::Pick::full:
            wait_for_server();
            return;
        case pool::Pick::none:
            answer_error(503, Termination::no_server, true);
            return;
    }
}

void Exchange::wait_for_server() {
    state_ = State::queued;
    if (!queue_timer_.armed()) {
        const auto patience = static_cast<std::uint64_t>(config().timeouts.connect.count());
        core_.loop.timers().arm(queue_timer_, core_.loop.now_ms() + patience);
    }
    pool_->wait(*this);
}

void Exchange::on_server_free() {
    choose_server();
}

/// A pooled connection where there is one that can be trusted with this request, else a new one.
void Exchange::use_connection() {
    // A body that is still coming may take its client long: no verdict on a server can wait for it.
    if (!request_ended_) lease_.give_up_trial();
    while (pool::BackendConnection* connection = lease_.reuse(*this)) {
        // Only a request that may be sent twice may meet a connection that its server is just closing.
        // TLS is asked in any case: its peer may speak of the session, so that spoke_unasked() cannot tell.
        const bool may_be_stale =
            http::is_idempotent(method_) && request_ended_ && !connection->transport().encrypted();
        if (may_be_stale || connection->still_open()) {
            state_ = State::awaiting;
            asked_in_turn_ = core_.loop.turn();
            send_request();
            return;
        }
        lease_.drop_connection();
    }
    start_connecting();
}

void Exchange::start_connecting() {
    state_ = State::connecting;
    if (const auto connection = lease_.connect(*this); !connection) {
        const base::Error& error = connection.error();
        if (is_shortage(error.code)) {
            if (core_.shortage.permit(core_.loop.now_ms()))
                base::log_error("cannot connect to servers: {}", error.message);
            answer_error(503, Termination::internal, true);
        } else {
            backend_failed(Fault::connect, error.message);
        }
        return;
    }
    arm_backend(config().timeouts.connect);
}

void Exchange::on_connected() {
    pool::BackendConnection& connection = *lease_.connection();
    const bool was_plain = !connection.transport().encrypted();
    std::string why;
    switch (connection.go_on_opening(why)) {
        case pool::BackendConnection::Opening::shaking_hands:
            if (was_plain) arm_backend(config().timeouts.handshake);
            return;
        case pool::BackendConnection::Opening::failed:
            backend_failed(Fault::connect, why);
            return;
        case pool::BackendConnection::Opening::spoke:
            backend_failed(Fault::reset, why);
            return;
        case pool::BackendConnection::Opening::open:
            state_ = State::awaiting;
            send_request();
            return;
    }
}

void Exchange::send_request() {
    arm_sending();
    if (flush_backend() && !request_ended_) client_->resume_body();
}

/// Sends what the backend has not taken yet; true when nothing is left.
bool Exchange::flush_backend() {
    pool::BackendConnection& connection = *lease_.connection();
    if (request_pipe_ && !request_pipe_->empty()) return flush_pipe();
    if (connection.transport().sealed()) {
        const net::IoResult sent = connection.transport().flush();
        if (sent.status == net::IoStatus::failed) {
            request_broken_ = true;
            core_.loop.again(*this);
        }
        if (sent.size > 0) arm_sending();
        if (sent.status != net::IoStatus::ok) return false;
    }
    const bool head_left = request_sent_ < request_.size();
    const std::string_view left = head_left ? request_.view().substr(request_sent_) : connection.out().view();
    if (left.empty() || request_broken_) return true;
    const net::IoResult sent = connection.transport().write(left);
    if (sent.status == net::IoStatus::failed) {
        // The backend may have answered before it closed: its answer counts, so it is read first.
        request_broken_ = true;
        core_.loop.again(*this);
        return false;
    }
    if (sent.status == net::IoStatus::would_block) return false;
    arm_sending();
    if (head_left) {
        request_sent_ += sent.size;
        return request_sent_ == request_.size() && connection.drained();
    }
    connection.out().consume(sent.size);
    return connection.drained();
}

bool Exchange::wants_body() const {
    if (state_ == State::tunnel) return !client_eof_ && lease_.connection()->drained();
    return (state_ == State::awaiting || state_ == State::relaying) && !request_ended_ && !request_broken_ &&
           request_sent_ == request_.size() && lease_.held() && lease_.connection()->drained() &&
           (!request_pipe_ || request_pipe_->empty());
}

std::size_t Exchange::take_body(char* begin, char* end) {
    if (state_ == State::tunnel) {
        tunnel_from_client(begin, end);
        return static_cast<std::size_t>(end - begin);
    }
    awaits_continue_ = false;
    const RelayedBody body = relay_body(request_body_, begin, end, request_framing_);
    bytes_in_ += body.consumed;
    const bool too_large = config().limits.body != 0 && request_body_.received() > config().limits.body;
    if (body.broken || too_large) {
        client_keep_alive_ = false;
        if (body.broken) {
            answer_error(400, Termination::bad_request);
        } else {
            answer_error(413, Termination::body_too_large);
        }
        return body.consumed;
    }
    char* out_end = body.end;
    if (body.ended) {
        request_ended_ = true;
        if (request_framing_ == http::Framing::chunked) {
            const std::string_view trailers = request_body_.trailers();
            if (last_chunk_size(trailers) <= static_cast<std::size_t>(begin + body.consumed - out_end)) {
                // Ours fits where the input's own last chunk was.
                out_end = write_last_chunk(out_end, trailers);
            } else {
                write_to_backend(body.begin, body.end);
                write_last_chunk_to_backend(trailers);
                return body.consumed;
            }
        }
    }
    write_to_backend(body.begin, out_end);
    return body.consumed;
}

void Exchange::end_body(std::string_view trailers) {
    if (state_ == State::tunnel) {
        on_client_eof();
        return;
    }
    if (request_ended_ || refused_status_ != 0) return;
    if (!request_body_.finish()) {
        on_client_eof();
        return;
    }
    request_ended_ = true;
    awaits_continue_ = false;
    if (request_framing_ != http::Framing::chunked) return;
    if (state_ == State::idle) {
        append_last_chunk(request_, trailers);
    } else {
        write_last_chunk_to_backend(trailers);
    }
}

void Exchange::write_last_chunk_to_backend(std::string_view trailers) {
    append_last_chunk(core_.head_out, trailers);
    write_to_backend(core_.head_out.data(), core_.head_out.data() + core_.head_out.size());
    core_.head_out.clear();
}

/// Sends body bytes, or keeps what the socket does not take; from now on the request cannot be sent again.
void Exchange::write_to_backend(const char* begin, const char* end) {
    if (begin == end || request_broken_) return;
    held_whole_ = false;
    pool::BackendConnection& connection = *lease_.connection();
    std::string_view bytes(begin, static_cast<std::size_t>(end - begin));
    arm_sending();
    if (connection.out().empty()) {
        const net::IoResult sent = connection.transport().write(bytes);
        if (sent.status == net::IoStatus::failed) {
            request_broken_ = true;
            core_.loop.again(*this);
            return;
        }
        if (sent.status == net::IoStatus::ok) bytes.remove_prefix(sent.size);
    }
    connection.out().append(bytes);
}

void Exchange::arm_backend(std::chrono::milliseconds delay) {
    lease_.connection()->set_deadline(static_cast<std::uint64_t>(delay.count()));
}

/// The server has got something, and is to take it and to answer.
void Exchange::arm_sending() {
    if (reason_ == Termination::tunnel_ended) return;  // its deadline is not put off
    const config::TimeoutsConfig& timeouts = config().timeouts;
    const auto patience = state_ == State::tunnel ? timeouts.tunnel : timeouts.server;
    lease_.connection()->set_send_deadline(static_cast<std::uint64_t>(patience.count()));
}

}  // namespace palier::proxy
