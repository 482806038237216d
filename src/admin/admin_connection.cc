#include "admin/admin_connection.h"

#include "admin/answer.h"
#include "palier/proxy/error_page.h"

namespace palier::admin {
namespace {

constexpr std::size_t kReadSize = 4 * 1024;
constexpr config::Duration kLinger{2'000};
constexpr std::size_t kMostDropped = 1024 * 1024;

}  // namespace

bool AdminConnection::start(Place place) {
    place_ = place;
    set_deadline(listener_.timeouts_.client_header);
    return socket_.adopt(listener_.loop_, descriptor_, *this);
}

void AdminConnection::look() {
    socket_.note(net::kReadable);
    advance();
}

void AdminConnection::close() {
    socket_.close();
    base::TimerWheel::disarm(timer_);
}

void AdminConnection::on_events(std::uint32_t ready) {
    // A newcomer may have displaced it earlier in this turn.
    if (!socket_.open()) return;
    socket_.note(ready);
    advance();
}

void AdminConnection::on_again() {
    if (socket_.open()) advance();
}

void AdminConnection::on_timer() {
    if (state_ != State::head || in_.empty()) {
        listener_.forget(*this);
        return;
    }
    refuse(408, "the request did not come in time");
    advance();
}

void AdminConnection::advance() {
    listener_.active(*this);
    Verdict verdict = Verdict::go_on;
    while (verdict == Verdict::go_on)
        verdict = step();
    if (verdict == Verdict::finish) listener_.forget(*this);
}

AdminConnection::Verdict AdminConnection::step() {
    switch (state_) {
        case State::head:
            return read_head();
        case State::writing:
            return write_out();
        case State::lingering:
            return linger();
    }
    return Verdict::finish;
}

AdminConnection::Verdict AdminConnection::read_head() {
    if (in_.empty()) return read_more();
    http::RequestParser& parser = listener_.parser_;
    const http::HeadResult result = parser.parse(in_.view(), seen_);
    switch (result.state) {
        case http::HeadState::incomplete:
            seen_ = in_.size();
            return read_more();
        case http::HeadState::refused:
            refuse(http::status_of(result.refusal), http::text_of(result.refusal));
            return Verdict::go_on;
        case http::HeadState::complete:
            answer(parser.head());
            in_.consume(result.consumed);
            seen_ = 0;
            return Verdict::go_on;
    }
    return Verdict::finish;
}

void AdminConnection::answer(const http::RequestHead& request) {
    const bool has_body = request.body.framing == http::Framing::chunked || request.body.length > 0;
    keep_alive_ = request.keep_alive && request.minor >= 1 && !has_body && !listener_.handed_over_;
    begin_writing(answer_to(listener_.pages_, request), request.method == http::Method::head);
}

void AdminConnection::refuse(std::uint16_t status, std::string_view why) {
    keep_alive_ = false;
    begin_writing({.status = status, .body = std::string(why) + "\n"}, false);
}

void AdminConnection::begin_writing(const Answer& answer, bool head_request) {
    listener_.clock_.update(listener_.loop_.now_ms());
    std::string fields;
    if (answer.status < 400) fields += "Cache-Control: no-store\r\n";  // errors have it anyway
    if (answer.status == 405) fields += "Allow: GET, HEAD\r\n";
    proxy::write_fixed_response(out_, answer.status, answer.content_type, answer.body, head_request,
                                keep_alive_, listener_.clock_.http_date(), fields);
    state_ = State::writing;
    served_ = true;
    set_deadline(listener_.timeouts_.client_write);
}

AdminConnection::Verdict AdminConnection::write_out() {
    while (!out_.empty()) {
        const net::IoResult result = socket_.write(out_.view());
        if (result.status == net::IoStatus::would_block) return Verdict::wait;
        if (result.status != net::IoStatus::ok) return Verdict::finish;
        out_.consume(result.size);
        set_deadline(listener_.timeouts_.client_write);
    }
    return end_exchange();
}

AdminConnection::Verdict AdminConnection::end_exchange() {
    if (!keep_alive_) {
        // Closed at once, what the client still sends would be met with a reset, which may overtake the answer.
        socket_.shutdown_write();
        state_ = State::lingering;
        in_.clear();
        set_deadline(kLinger);
        return Verdict::go_on;
    }
    state_ = State::head;
    set_deadline(in_.empty() ? listener_.timeouts_.client_idle : listener_.timeouts_.client_header);
    // One request a turn: whoever sends them without end shares the loop.
    if (!in_.empty() || socket_.readable()) listener_.loop_.again(*this);
    return Verdict::wait;
}

AdminConnection::Verdict AdminConnection::linger() {
    dropped_ += in_.size();
    in_.clear();
    return dropped_ < kMostDropped ? read_more() : Verdict::finish;
}

AdminConnection::Verdict AdminConnection::read_more() {
    if (!socket_.readable()) return Verdict::wait;
    const net::IoResult result = socket_.read(in_.reserve(kReadSize), kReadSize);
    switch (result.status) {
        case net::IoStatus::ok:
            if (state_ == State::head && in_.empty()) set_deadline(listener_.timeouts_.client_header);
            in_.commit(result.size);
            return Verdict::go_on;
        case net::IoStatus::would_block:
            return Verdict::wait;
        case net::IoStatus::closed:
        case net::IoStatus::failed:
            return Verdict::finish;
    }
    return Verdict::finish;
}

void AdminConnection::set_deadline(config::Duration from_now) {
    net::Loop& loop = listener_.loop_;
    loop.timers().arm(timer_, loop.now_ms() + static_cast<std::uint64_t>(from_now.count()));
}

}  // namespace palier::admin
