// The states of an exchange:
//
//   state       waits for                                 deadline      what ends it
//   idle        a request, in the worker's free list      -             begin() and start() -> any but relaying, tunnel
//   answering   the client to take palier's own answer    client_write  drained -> finished
//   queued      a server below its max_connections        connect       a free server -> connecting, awaiting;
//                                                                       late -> answering
//   connecting  the connection to the leased server,      connect,      open -> awaiting; failed -> another try,
//               and its TLS handshake                     handshake     or answering
//   awaiting    the response head                         server        head -> relaying; 101 -> tunnel;
//                                                                       failed -> another try, or answering
//   relaying    the response body; the client to take it  server;       end -> finished; cut -> finished
//                                                         client_write
//   tunnel      bytes either way                          tunnel        both ends closed -> finished; cut -> finished
//   finished    the client's side to take it back         -             -> idle
//
// The request's body flows in awaiting and relaying, under client_body; both directions run at once. Who
// reads is paused by who writes: nothing is read from the backend while the client holds unsent bytes, nothing
// from the client while the backend's connection does.
#include "palier/proxy/exchange.h"

#include "palier/base/log.h"
#include "palier/proxy/client_stream.h"
#include "palier/proxy/error_page.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace palier::proxy {
namespace {

constexpr unsigned kRetryAfterSeconds = 5;
constexpr std::string_view kNotPlain =
    "This port speaks HTTPS, and your request came without TLS. Please begin the address with https://.";
constexpr std::string_view kMaintenance =
    "The site is being worked on and will be back soon. Please try again a little later.";

}  // namespace

Exchange::Exchange(WorkerCore& core)
    : core_(core),
      queue_timer_(
          [](void* self) {
              static_cast<Exchange*>(self)->answer_error(503, Termination::queue_timeout, true);
          },
          this),
      request_(&core.buffers) {}

Exchange::~Exchange() {
    leave_pool();
}

void Exchange::reset() {
    client_ = nullptr;
    snapshot_ = core_.snapshot;
    route_ = nullptr;
    leave_pool();
    tried_.clear();
    state_ = State::idle;
    reason_ = Termination::ok;
    refused_status_ = 0;
    trusted_ = false;
    request_.clear();
    request_sent_ = 0;
    method_ = http::Method::get;
    held_whole_ = true;
    request_ended_ = request_broken_ = head_request_ = wants_upgrade_ = awaits_continue_ = false;
    client_keep_alive_ = true;
    request_framing_ = response_framing_ = http::Framing::none;
    reads_more_ = false;
    head_seen_ = 0;
    informational_ = 0;
    head_sent_ = response_ended_ = backend_reusable_ = false;
    keep_alive_ = true;
    client_eof_ = backend_eof_ = false;
    method_size_ = path_size_ = host_size_ = 0;
    client_text_size_ = 0;
    status_ = 0;
    tries_ = 0;
    bytes_in_ = bytes_out_ = 0;
    first_out_us_ = 0;
    last_server_ = nullptr;
}

void Exchange::recycle() {
    request_.release();
    leave_pool();
    snapshot_ = SnapshotPin();
    picked_under_ = SnapshotPin();
}

/// The pool that the route names in this exchange's snapshot, which is the current one only now.
void Exchange::join_pool() {
    const auto* forward = route_ == nullptr ? nullptr : std::get_if<config::ForwardAction>(&route_->action);
    if (forward == nullptr) return;
    pool_ = &core_.pools.at(forward->pool);
    pool_->attach();
}

void Exchange::leave_pool() {
    if (pool_ != nullptr) std::exchange(pool_, nullptr)->detach();
}

void Exchange::begin_refused(ClientStream& client, std::uint16_t status, Termination reason) {
    reset();
    client_ = &client;
    started_us_ = core_.loop.now_us();
    client_text_size_ = static_cast<std::uint8_t>(client.peer().ip().format(client_text_.data()));
    core_.make_request_id(request_id_.data());
    client_keep_alive_ = false;
    refused_status_ = status;
    reason_ = reason;
}

void Exchange::start() {
    if (refused_status_ != 0) {
        leave_pool();
        answer_error(refused_status_, reason_, reason_ == Termination::no_memory);
        return;
    }
    if (route_ == nullptr) {
        answer_error(404, Termination::no_route);
    } else if (const auto* redirect_to = std::get_if<config::RedirectAction>(&route_->action)) {
        redirect(*redirect_to);
    } else if (const auto* fixed = std::get_if<config::RespondAction>(&route_->action)) {
        respond(*fixed);
    } else if (pool_->has_waiters()) {
        wait_for_server();
    } else {
        choose_server();
    }
}

bool Exchange::may_keep_alive() const {
    return client_keep_alive_ && request_ended_ && !core_.leaving && !client_->listener().leaving;
}

void Exchange::answer_error(std::uint16_t status, Termination reason, bool retry_after) {
    if (head_sent_) {
        reason_ = reason;
        client_->cut();
        return;
    }
    // After a malformed message, or one that stopped coming, nobody knows where the next one starts.
    const bool keep_alive = may_keep_alive() && status != 400 && status != 408;
    // RFC 6797 section 7.2: nothing about HSTS over a connection without TLS.
    const bool plain = reason == Termination::plain_http;
    write_error_response(core_.head_out, status, sent_field("Accept"), head_request_, keep_alive,
                         {request_id_.data(), request_id_.size()}, core_.clock().http_date(),
                         retry_after ? std::optional(kRetryAfterSeconds) : std::nullopt,
                         plain ? std::string_view{} : client_->listener().hsts,
                         plain ? kNotPlain : std::string_view{});
    send_answer(reason, status, keep_alive);
}

void Exchange::answer_maintenance() {
    const config::MaintenanceConfig& maintenance = pool_->snapshot().config.maintenance;
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(maintenance.retry_after).count();
    const bool keep_alive = may_keep_alive();
    const std::string_view hsts = client_->listener().hsts;
    if (maintenance.page.empty()) {
        write_error_response(core_.head_out, 503, sent_field("Accept"), head_request_, keep_alive,
                             {request_id_.data(), request_id_.size()}, core_.clock().http_date(),
                             static_cast<unsigned>(seconds), hsts, kMaintenance);
    } else {
        const std::string fields = fmt::format("Retry-After: {}\r\n{}", seconds, hsts);
        write_fixed_response(core_.head_out, 503, maintenance.content_type, maintenance.page, head_request_,
                             keep_alive, core_.clock().http_date(), fields);
    }
    send_answer(Termination::maintenance, 503, keep_alive);
}

void Exchange::redirect(const config::RedirectAction& action) {
    std::string location = action.to;
    if (action.to == "https") {
        const std::string_view head = request_.view();
        std::string_view host = head.substr(method_size_ + 1 + path_size_ + kHostOffset, host_size_);
        if (host.empty()) {
            answer_error(400, Termination::bad_request);
            return;
        }
        if (const std::size_t colon = host.rfind(':');
            colon != std::string_view::npos && host.back() != ']') {
            host = host.substr(0, colon);
        }
        const std::string_view path = head.substr(method_size_ + 1, path_size_);
        location = "https://" + std::string(host) + (path == "*" ? "/" : std::string(path));
    }
    const bool keep_alive = may_keep_alive();
    write_redirect(core_.head_out, action.code, location, head_request_, keep_alive,
                   core_.clock().http_date(), client_->listener().hsts);
    send_answer(Termination::redirect, action.code, keep_alive);
}

void Exchange::respond(const config::RespondAction& action) {
    const bool keep_alive = may_keep_alive();
    write_fixed_response(core_.head_out, action.code, action.content_type, action.body, head_request_,
                         keep_alive, core_.clock().http_date(), client_->listener().hsts);
    send_answer(Termination::respond, action.code, keep_alive);
}

/// Sends what is in head_out as the whole answer; no backend has a part in it any more.
void Exchange::send_answer(Termination reason, std::uint16_t status, bool keep_alive) {
    lease_.discard();
    base::TimerWheel::disarm(queue_timer_);
    Waiter::unlink();
    state_ = State::answering;
    reason_ = reason;
    status_ = status;
    keep_alive_ = keep_alive;
    head_sent_ = response_ended_ = true;
    if (first_out_us_ == 0) first_out_us_ = core_.loop.now_us();
    bytes_out_ += client_->answer(core_.head_out, head_request_);
    if (!client_->blocked()) finish(reason, keep_alive);
}

void Exchange::on_client_drained() {
    if (state_ == State::tunnel) {
        tunnel_progress();
    } else if (response_ended_) {
        finish(reason_, keep_alive_);
    } else if (state_ == State::relaying || state_ == State::awaiting) {
        read_response();
    }
}

void Exchange::on_client_eof() {
    client_eof_ = true;
    if (state_ == State::tunnel) {
        tunnel_progress();
    } else if (!request_ended_) {
        // Half a request: nobody is served by finishing it.
        client_->cut();
    } else {
        client_keep_alive_ = false;
    }
}

void Exchange::on_client_body_timeout() {
    if (head_sent_) {
        reason_ = Termination::client_timeout_body;
        client_->cut();
    } else {
        answer_error(408, Termination::client_timeout_body);
    }
}

void Exchange::on_client_gone(Termination reason) {
    if (state_ == State::finished || state_ == State::idle) return;
    // A reason that was known before the connection was cut says more.
    finish(reason_ == Termination::ok ? reason : reason_, false);
}

void Exchange::finish(Termination reason, bool keep_alive) {
    lease_.discard();
    core_.give_pipe(std::move(request_pipe_));
    core_.give_pipe(std::move(response_pipe_));
    base::TimerWheel::disarm(queue_timer_);
    Waiter::unlink();
    Task::unlink();
    if (state_ == State::tunnel) --core_.tunnels;
    log(reason);
    leave_pool();
    state_ = State::finished;
    // Only a client that asked to close, and whose request was read to its end, is sure to send nothing more.
    const bool quiet = !client_keep_alive_ && request_ended_ && refused_status_ == 0;
    client_->finish_exchange(keep_alive ? After::keep_alive : quiet ? After::close : After::linger);
}

std::string_view Exchange::sent_field(std::string_view name) const {
    const std::string_view head = request_.view();
    const std::size_t end = head.find("\r\n\r\n");
    for (std::size_t at = head.find("\r\n"); at < end; at = head.find("\r\n", at + 2)) {
        const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
        if (line.size() > name.size() + 1 && line[name.size()] == ':' &&
            std::ranges::equal(line.substr(0, name.size()), name,
                               [](char a, char b) { return (a | 32) == (b | 32); })) {
            const std::size_t start = line.find_first_not_of(" \t", name.size() + 1);
            return start == std::string_view::npos ? std::string_view{} : line.substr(start);
        }
    }
    return {};
}

void Exchange::log(Termination reason) {
    if (!core_.access_log.enabled()) return;
    const std::string_view head = request_.view();
    const bool parsed = method_size_ != 0;
    AccessRecord record;
    record.client = {client_text_.data(), client_text_size_};
    record.listener = client_->listener().name;
    if (parsed) {
        record.method = head.substr(0, method_size_);
        record.path = head.substr(method_size_ + 1, path_size_);
        record.host = head.substr(method_size_ + 1 + path_size_ + kHostOffset, host_size_);
        record.protocol = client_->protocol();
        if (config().log.format == config::LogFormat::combined) {
            record.referer = sent_field("Referer");
            record.user_agent = sent_field("User-Agent");
        }
    }
    if (pool_ != nullptr) record.pool = pool_->snapshot().config.name;
    if (last_server_ != nullptr) record.server = last_server_->server;
    record.request_id =
        trusted_ && parsed ? sent_field("X-Request-Id") : std::string_view(request_id_.data(), 32);
    record.bytes_in = bytes_in_;
    record.bytes_out = bytes_out_;
    record.ttfb_us = first_out_us_ == 0 ? 0 : first_out_us_ - started_us_;
    record.total_us = core_.loop.now_us() - started_us_;
    record.tries = tries_;
    record.status = status_;
    record.reason = reason;
    core_.access_log.write(record, core_.clock());
}

}  // namespace palier::proxy
