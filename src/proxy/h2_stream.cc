#include "palier/proxy/h2_stream.h"

#include "palier/proxy/exchange.h"
#include "palier/proxy/h2_connection.h"
#include "palier/proxy/worker_core.h"
#include "palier/tls/digest.h"

#include <algorithm>
#include <cstring>

namespace palier::proxy {
namespace {

constexpr std::size_t kBodyPiece = 128 * 1024;  // bytes given to the exchange at a time
constexpr std::size_t kSentAtOnce = 8 * 1024;   // pieces as large do not wait for the end of the turn
// Bytes fetched at a time. What the client's window does not let go is kept, so a shut one gets little.
constexpr std::size_t kLeastAppetite = 16 * 1024;
constexpr std::size_t kMostAppetite = 128 * 1024;

/// How an HTTP/2 body reaches the exchange: its bytes, and its end told apart.
http::BodyLength wire_length(const http::BodyLength& body) {
    if (body.framing == http::Framing::chunked) return {.framing = http::Framing::until_close};
    return body;
}

/// As much as it would be without HPACK.
std::size_t size_of(const http::ResponseHead& head) {
    std::size_t size = std::string_view(":status: 200\r\n").size();
    for (const http::Field& field : head.fields)
        size += field.name.size() + field.value.size() + 4;
    return size;
}

std::string_view value_of(const std::vector<http::Field>& fields, std::string_view lower_name) {
    const auto found = std::ranges::find_if(fields, [&](const http::Field& field) {
        return std::ranges::equal(field.name, lower_name,
                                  [](char a, char b) { return (a | 0x20) == (b | 0x20); });
    });
    return found == fields.end() ? std::string_view{} : found->value;
}

}  // namespace

H2Stream::H2Stream(H2Connection& connection, WorkerCore& core, std::int32_t id)
    : connection_(connection),
      core_(core),
      in_(&core.buffers),
      out_(&core.buffers),
      timer_(base::Timer::calling<&H2Stream::on_timer>(this)),
      id_(id) {}

H2Stream::~H2Stream() {
    base::TimerWheel::disarm(timer_);
}

void H2Stream::begin(const http::RequestHead& head, std::size_t size) {
    exchange_ = core_.take_exchange();
    in_ended_ = in_end_told_ =
        !head.wants_upgrade && head.body.length == 0 && head.body.framing != http::Framing::chunked;
    if (head.wants_upgrade) websocket_key_ = value_of(head.fields, "sec-websocket-key");
    exchange_->begin(*this, head, wire_length(head.body), core_.loop.now_us(), size);
}

void H2Stream::begin_refused(std::uint16_t status, Termination reason) {
    exchange_ = core_.take_exchange();
    in_ended_ = in_end_told_ = false;
    exchange_->begin_refused(*this, status, reason);
}

void H2Stream::start() {
    if (websocket_key_.empty()) hold_body();
    exchange_->start();
}

/// What has come already can be sent with the head, and sent again.
void H2Stream::hold_body() {
    if (!in_.empty()) {
        const std::size_t size = std::min(in_.size(), kBodyPiece);
        char* place = core_.scratch.data();
        std::memcpy(place, in_.data(), size);
        const std::size_t used = exchange_->hold_body(place, place + size);
        in_.consume(used);
        connection_.session().consume(id_, used);
    }
    if (in_ended_ && !in_end_told_ && in_.empty()) {
        in_end_told_ = true;
        exchange_->end_body(trailers_in_);
    }
}

void H2Stream::take_end(std::string_view trailers) {
    in_ended_ = true;
    trailers_in_ = trailers;
}

bool H2Stream::attend() {
    if (lost_) {
        gone(Termination::client_closed);
        return detached_;
    }
    if (exchange_ && std::exchange(drained_, false) && !blocked()) exchange_->on_client_drained();
    if (exchange_) pump_body();
    return detached_ && !exchange_;
}

void H2Stream::pump_body() {
    bool moved = false;
    while (exchange_ && !lost_ && exchange_->wants_body() && !in_.empty()) {
        const std::size_t size = std::min(in_.size(), kBodyPiece);
        char* place = core_.scratch.data();
        std::memcpy(place, in_.data(), size);
        in_.consume(size);
        moved = true;
        connection_.session().consume(id_, size);
        connection_.has_output();
        // The session has seen to it that no more comes than was promised.
        static_cast<void>(exchange_->take_body(place, place + size));
    }
    if (!exchange_ || lost_) return;
    if (in_.empty()) in_.release();
    if (!exchange_->wants_body()) {
        wait_for_nothing(Waiting::body);
    } else if (!in_.empty()) {
        return;
    } else if (in_ended_) {
        wait_for_nothing(Waiting::body);
        if (!std::exchange(in_end_told_, true)) exchange_->end_body(trailers_in_);
    } else if (exchange_->tunnelling() || exchange_->awaits_continue()) {
        wait_for_nothing(Waiting::body);  // the deadline is the backend's
    } else if (out_.empty() && (moved || waiting_for_ != Waiting::body)) {
        wait_for(Waiting::body, exchange_->body_timeout());
    }
}

bool H2Stream::closed(http::H2Error error) {
    detached_ = true;
    const bool whole = error == http::H2Error::no_error && out_ended_ && out_.empty() && !lost_;
    if (whole && exchange_) pump_body();
    if (whole && exchange_) exchange_->on_client_drained();
    if (whole && exchange_ && exchange_->tunnelling()) return false;  // its backend is still taking
    gone(Termination::client_closed);
    return true;
}

void H2Stream::gone(Termination reason) {
    lost_ = true;
    base::TimerWheel::disarm(timer_);
    if (exchange_) exchange_->on_client_gone(reason);
    if (exchange_) core_.retire(std::move(exchange_));
}

const ListenerFacts& H2Stream::listener() const {
    return connection_.listener();
}

const base::SocketAddress& H2Stream::peer() const {
    return connection_.peer();
}

std::string_view H2Stream::subject() const {
    return connection_.subject();
}

/// Palier's own answers are written once, for HTTP/1, and read here.
std::size_t H2Stream::answer(base::Buffer& message, bool head_request) {
    const std::size_t size = message.size();
    const std::string_view bytes = message.view();
    const auto parsed =
        core_.response_parser.parse(bytes, 0, head_request ? http::Method::head : http::Method::get, false);
    if (responded_ || parsed.state != http::HeadState::complete) {
        cut();
    } else {
        const http::ResponseHead& head = core_.response_parser.head();
        const std::string_view body = bytes.substr(parsed.consumed);
        out_ended_ = responded_ = true;
        connection_.session().respond(id_, head, head.body, head_request, {}, body.empty() ? nullptr : this);
        write(body);
    }
    message.clear();
    return size;
}

std::size_t H2Stream::inform(const http::ResponseHead& head) {
    connection_.session().inform(id_, head);
    connection_.has_output();
    return size_of(head);
}

ResponseTerms H2Stream::start_response(const http::ResponseHead& head, bool keep_alive, bool head_request) {
    const bool has_body = head.body.framing != http::Framing::none;
    responded_ = true;
    head_size_ = size_of(head);
    connection_.session().respond(id_, head, head.body, head_request, listener().hsts,
                                  has_body ? this : nullptr);
    connection_.has_output();
    return {has_body ? http::Framing::until_close : http::Framing::none, keep_alive};
}

std::size_t H2Stream::write_body(char* begin, char* end, std::size_t, bool ended, std::string_view trailers) {
    if (ended) {
        out_ended_ = true;
        trailers_out_ = trailers;
    }
    const auto size = static_cast<std::size_t>(end - begin);
    write({begin, size});
    return size + std::exchange(head_size_, 0);
}

std::size_t H2Stream::start_tunnel(const http::ResponseHead& head, std::string_view rest) {
    // RFC 6455 section 4.1: whoever sent the key checks the answer to it.
    if (value_of(head.fields, "sec-websocket-accept") != tls::websocket_accept(websocket_key_)) {
        cut();
        return 0;
    }
    responded_ = true;
    connection_.session().respond(id_, head, {}, false, listener().hsts, this);
    write(rest);
    return rest.size() + size_of(head);
}

void H2Stream::write_tunnel(const char* begin, const char* end) {
    write({begin, static_cast<std::size_t>(end - begin)});
}

void H2Stream::end_tunnel() {
    if (std::exchange(out_ended_, true)) return;
    write({});
}

/// Sends a large piece of the body at once, as far as the client's windows are open; keeps the rest, and
/// small pieces for the end of the turn.
void H2Stream::write(std::string_view bytes) {
    if (lost_) return;
    connection_.session().resume(id_);
    connection_.has_output();
    if (bytes.size() >= kSentAtOnce && out_.empty()) {
        fresh_ = bytes;
        connection_.send_now();
        bytes = std::exchange(fresh_, {});
    }
    if (bytes.empty() || lost_) return;
    if (out_.empty()) wait_for(Waiting::write, connection_.deadlines().client_write);
    out_.append(bytes);
}

void H2Stream::take(base::Buffer& out, std::size_t size) {
    if (!fresh_.empty()) {
        out.append(fresh_.substr(0, size));
        fresh_.remove_prefix(size);
        return;
    }
    out.append(out_.view().substr(0, size));
    out_.consume(size);
    if (!out_.empty()) {
        wait_for(Waiting::write, connection_.deadlines().client_write);
        return;
    }
    out_.release();
    wait_for_nothing(Waiting::write);
    if (!exchange_ || out_ended_) return;
    drained_ = true;
    connection_.call_attention(*this);
}

/// Nothing is fetched while something is kept: the backend's connection holds it better than we do.
bool H2Stream::blocked() const {
    return lost_ || (!out_.empty() && !out_ended_);
}

Appetite H2Stream::appetite() const {
    const std::size_t size = std::clamp(connection_.session().window(id_), kLeastAppetite, kMostAppetite);
    return {.first = size, .most = size};
}

void H2Stream::resume_body() {
    connection_.call_attention(*this);
}

void H2Stream::finish_exchange(After) {
    core_.retire(std::move(exchange_));
    wait_for_nothing(Waiting::body);
    if (detached_) {
        connection_.call_attention(*this);
    } else if (!websocket_key_.empty()) {
        connection_.session().end_tunnel(id_);
        connection_.has_output();
    }
}

void H2Stream::cut() {
    if (std::exchange(lost_, true)) return;
    connection_.session().reset(id_, http::H2Error::internal_error);
    connection_.has_output();
    connection_.call_attention(*this);
}

void H2Stream::wait_for(Waiting what, std::chrono::milliseconds delay) {
    waiting_for_ = what;
    core_.loop.timers().arm(timer_, core_.loop.now_ms() + static_cast<std::uint64_t>(delay.count()));
}

void H2Stream::wait_for_nothing(Waiting what) {
    if (waiting_for_ == what) waiting_for_ = Waiting::nothing;
}

void H2Stream::on_timer() {
    if (waiting_for_ != Waiting::nothing && connection_.waits_to_write()) {
        // Until the socket takes more no stream moves, either way: the deadline is the connection's.
        wait_for(waiting_for_, connection_.deadlines().client_write);
        return;
    }
    switch (std::exchange(waiting_for_, Waiting::nothing)) {
        case Waiting::nothing:
            return;
        case Waiting::body:
            if (exchange_ && exchange_->wants_body()) exchange_->on_client_body_timeout();
            return;
        case Waiting::write:
            // Its window stays shut: whatever is held for it is given up, and only that.
            connection_.session().reset(id_, http::H2Error::cancel);
            gone(Termination::client_write_timeout);
            connection_.has_output();
            return;
    }
}

}  // namespace palier::proxy
