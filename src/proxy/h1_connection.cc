#include "palier/proxy/h1_connection.h"

#include "palier/proxy/exchange.h"
#include "palier/proxy/h2_connection.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>
#include <cstring>

namespace palier::proxy {
namespace {

constexpr std::size_t kHeadRead = 64 * 1024;  // bytes a read, at most
constexpr std::size_t kBodyRead = 128 * 1024;
constexpr int kReadsPerTurn = 4;                     // then other connections have theirs
constexpr std::chrono::milliseconds kStopIdle{500};  // for a next request, when palier stops
constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 section 3.4

struct RefusalAnswer {
    std::uint16_t status;
    Termination reason;
};

RefusalAnswer answer_to(http::Refusal refusal) {
    const std::uint16_t status = http::status_of(refusal);
    return {status, termination_of(status)};
}

}  // namespace

Termination termination_of(std::uint16_t refusal_status) {
    switch (refusal_status) {
        case 431:
            return Termination::head_too_large;
        case 414:
            return Termination::target_too_long;
        case 405:
        case 417:
        case 505:
            return Termination::not_supported;
        default:
            return Termination::bad_request;
    }
}

H1Connection::H1Connection(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener,
                           const base::SocketAddress& peer)
    : ClientConnection(core, std::move(listener), peer), in_(&core.buffers) {}

H1Connection::H1Connection(ClientConnection& former) : ClientConnection(former), in_(&core_.buffers) {}

H1Connection::~H1Connection() = default;

void H1Connection::take_over(ClientConnection& former, std::string_view first) {
    H1Connection& connection = *new H1Connection(former);  // owned by the worker's list
    connection.in_.append(first);
    connection.wait_for(Waiting::request, connection.timeouts().client_header);
    if (!first.empty() || connection.transport_.readable()) connection.on_readable();
}

void H1Connection::refuse_plain(ClientConnection& former) {
    (new H1Connection(former))->answer_and_close(400, Termination::plain_http);
}

std::string_view H1Connection::subject() const {
    return subject_ ? std::string_view(*subject_) : std::string_view{};
}

std::string_view H1Connection::protocol() const {
    return minor_ == 1 ? "HTTP/1.1" : "HTTP/1.0";
}

/// Uses what there is to read, or was read already.
void H1Connection::on_readable() {
    switch (state_) {
        case State::idle:
        case State::head:
            read_head();
            return;
        case State::exchange:
            read_body();
            return;
        case State::ended:
            return;
    }
}

/// Whether the client begins with HTTP/2, or may still turn out to.
bool H1Connection::is_http2(std::string_view bytes) {
    return listener_->http2 && !served_ && !transport_.encrypted() &&
           kHttp2Preface.starts_with(bytes.substr(0, kHttp2Preface.size()));
}

void H1Connection::read_head() {
    std::string_view bytes = in_.view();
    if (state_ == State::head || in_.empty()) {
        // Nothing new can be learnt from what was looked at already.
        const net::IoResult got = read_more(bytes);
        if (got.status == net::IoStatus::would_block) return;
        if (got.status != net::IoStatus::ok) {
            close();
            return;
        }
    }
    if (head_seen_ == 0) first_byte_us_ = core_.loop.now_us();
    const bool http2 = is_http2(bytes);
    if (http2 && bytes.size() >= kHttp2Preface.size()) {
        H2Connection::take_over(*this, bytes);
        return;
    }
    const http::HeadResult result =
        http2 ? http::HeadResult{} : core_.request_parser.parse(bytes, head_seen_);
    switch (result.state) {
        case http::HeadState::complete:
            head_seen_ = 0;
            begin_exchange(bytes, result.consumed);
            return;
        case http::HeadState::refused:
            refuse(result.refusal);
            return;
        case http::HeadState::incomplete:
            break;
    }
    if (state_ == State::idle && served_) wait_for(Waiting::request, timeouts().client_header);
    state_ = State::head;
    if (core_.short_of_memory) [[unlikely]] {
        give_up_request();
        return;
    }
    head_seen_ = static_cast<std::uint32_t>(bytes.size());
    if (in_.empty()) in_.append(bytes);
    if (transport_.readable()) go_on_later();
}

/// Reads once; `bytes` becomes all that is there: in `in_` if that held something, else in the scratch
/// buffer.
net::IoResult H1Connection::read_more(std::string_view& bytes) {
    if (!transport_.readable()) return {};
    const bool gather = !in_.empty();
    char* place = gather ? in_.reserve(std::max<std::size_t>(in_.size(), 4096)) : core_.scratch.data();
    const net::IoResult got = transport_.read(place, gather ? std::min(in_.room(), kHeadRead) : kHeadRead);
    if (got.status != net::IoStatus::ok) return got;
    if (gather) {
        in_.commit(got.size);
        bytes = in_.view();
    } else {
        bytes = {place, got.size};
    }
    return got;
}

void H1Connection::begin_exchange(std::string_view bytes, std::size_t head_size) {
    state_ = State::exchange;
    served_ = true;
    wait_for_nothing();
    exchange_ = core_.take_exchange();
    const http::RequestHead& head = core_.request_parser.head();
    minor_ = head.minor;
    const std::string_view rest = bytes.substr(head_size);
    const bool gathered = !in_.empty();
    // What follows the head in `in_` is copied to where a body can be reframed; not all that may be pipelined
    // there.
    const std::size_t size = gathered ? std::min(rest.size(), kBodyRead) : rest.size();
    char* place = core_.scratch.data() + (gathered ? 0 : head_size);
    if (gathered && head.body.framing != http::Framing::none) std::memcpy(place, rest.data(), size);
    exchange_->begin(*this, head, head.body, first_byte_us_, head_size);
    const std::size_t used = exchange_->hold_body(place, place + size);
    if (gathered) {
        in_.consume(head_size + used);
        if (in_.empty()) in_.release();
    } else if (used < size) {
        in_.append({place + used, size - used});
    }
    exchange_->start();
}

void H1Connection::refuse(http::Refusal refusal) {
    const RefusalAnswer answer = answer_to(refusal);
    answer_and_close(answer.status, answer.reason);
}

/// An answer to something that is no request.
void H1Connection::answer_and_close(std::uint16_t status, Termination reason) {
    state_ = State::exchange;
    in_.release();
    head_seen_ = 0;
    wait_for_nothing();
    exchange_ = core_.take_exchange();
    exchange_->begin_refused(*this, status, reason);
    exchange_->start();
}

void H1Connection::resume_body() {
    if (!in_.empty() || transport_.readable()) {
        go_on_later();
    } else if (!blocked()) {
        wait_for_body();
    }
}

void H1Connection::read_body() {
    for (int reads = 0; state_ == State::exchange && !broken_ && exchange_->wants_body(); ++reads) {
        if (reads == kReadsPerTurn) {
            go_on_later();
            return;
        }
        if (in_.empty() && takes_pipes() && exchange_->splices_body()) {
            if (!transport_.readable()) break;
            const net::IoStatus moved = exchange_->splice_body(transport_.socket());
            if (moved == net::IoStatus::would_block) break;
            if (moved == net::IoStatus::ok) continue;
            if (moved == net::IoStatus::failed) {
                close();
            } else {
                eof_ = true;
                exchange_->on_client_eof();
            }
            return;
        }
        std::size_t size = 0;
        if (!read_piece(size)) return;
        if (size == 0) break;
        char* place = core_.scratch.data();
        const std::size_t used = exchange_->take_body(place, place + size);
        if (state_ == State::exchange && used < size) {
            // Bytes of the next request; what in_ still holds comes after them.
            base::Buffer rest(&core_.buffers);
            rest.append({place + used, size - used});
            rest.append(in_.view());
            in_ = std::move(rest);
        }
    }
    if (state_ == State::exchange && !broken_ && exchange_->wants_body()) wait_for_body();
}

/// The next bytes of a body, `size` of them in the scratch buffer; none: there are none now. False: the
/// connection has ended.
bool H1Connection::read_piece(std::size_t& size) {
    char* place = core_.scratch.data();
    size = std::min(in_.size(), kBodyRead);
    if (size > 0) {
        std::memcpy(place, in_.data(), size);
        in_.consume(size);
        return true;
    }
    if (!transport_.readable()) return true;
    const net::IoResult got = transport_.read(place, kBodyRead);
    switch (got.status) {
        case net::IoStatus::ok:
            size = got.size;
            return true;
        case net::IoStatus::would_block:
            return true;
        case net::IoStatus::closed:
            eof_ = true;
            exchange_->on_client_eof();
            return false;
        case net::IoStatus::failed:
            break;
    }
    close();
    return false;
}

std::size_t H1Connection::take_from(net::Pipe& pipe) {
    if (broken_ || closed_) return 0;
    const net::IoResult sent = pipe.drain(transport_.socket());
    if (sent.status == net::IoStatus::failed) {
        fail();
    } else if (sent.status == net::IoStatus::would_block) {
        piped_ = true;
        wait_for(Waiting::write, timeouts().client_write);
    }
    return sent.size;
}

void H1Connection::on_drained() {
    if (state_ != State::exchange) return;
    exchange_->on_client_drained();
    if (state_ == State::exchange && !blocked() && exchange_->wants_body()) wait_for_body();
}

void H1Connection::finish_exchange(After after) {
    core_.retire(std::move(exchange_));
    state_ = State::ended;
    if (broken_) return;  // closed in the next turn
    if (after == After::linger || (after == After::close && (transport_.readable() || !in_.empty()))) {
        in_.release();
        linger();
        return;
    }
    if (after == After::close || eof_) {
        close();
        return;
    }
    state_ = State::idle;
    wait_for(Waiting::idle, core_.stopping || listener_->leaving ? kStopIdle : timeouts().client_idle);
    if (!in_.empty() || transport_.readable()) go_on_later();
}

void H1Connection::wait_for_body() {
    if (blocked()) return;
    if (exchange_->tunnelling() || exchange_->awaits_continue()) {
        wait_for_nothing();  // the deadline is the backend's
    } else {
        wait_for(Waiting::body, exchange_->body_timeout());
    }
}

void H1Connection::on_deadline(Waiting what) {
    if (what == Waiting::body) {
        if (exchange_ && exchange_->wants_body()) exchange_->on_client_body_timeout();
    } else if (state_ == State::head) {
        answer_and_close(408, Termination::client_timeout_header);
    } else {
        close();
    }
}

void H1Connection::wind_down() {
    if (state_ == State::idle && in_.empty() && served_ && !transport_.readable()) close();
}

void H1Connection::give_up_request() {
    if (state_ != State::head || closed_ || broken_) return;
    ++core_.refused;
    answer_and_close(503, Termination::no_memory);
}

void H1Connection::on_close(Termination reason) {
    state_ = State::ended;
    if (exchange_) exchange_->on_client_gone(reason);
    if (exchange_) core_.retire(std::move(exchange_));
}

}  // namespace palier::proxy
