#include "demo/front_connection.h"

#include <algorithm>

namespace palier::demo {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;
constexpr std::size_t kFillSize = 64 * 1024;
constexpr std::uint64_t kIdleMs = 90'000;  // longer than the proxy keeps an idle connection by default
constexpr std::string_view kFillLine = "This line is what /big is made of, over and over again........\n";

}  // namespace

FrontConnection::FrontConnection(Front& front, const base::SocketAddress& peer) : front_(front) {
    request_.peer = peer.to_string();
}

bool FrontConnection::start(int descriptor) {
    put_deadline_off();
    return socket_.adopt(front_.loop_, descriptor, *this);
}

void FrontConnection::on_events(std::uint32_t ready) {
    // The front may have cut the connection earlier in this turn.
    if (!socket_.open()) return;
    socket_.note(ready);
    advance();
}

void FrontConnection::on_timer() {
    if (!socket_.open()) return;
    if (state_ != State::waiting) {
        front_.forget(*this);
        return;
    }
    begin_writing();
    advance();
}

void FrontConnection::advance() {
    put_deadline_off();
    Verdict verdict = Verdict::go_on;
    while (verdict == Verdict::go_on)
        verdict = step();
    if (verdict == Verdict::finish) front_.forget(*this);
}

FrontConnection::Verdict FrontConnection::step() {
    switch (state_) {
        case State::head:
            return read_head();
        case State::body:
            return read_body();
        case State::waiting:
            return Verdict::wait;
        case State::writing:
            return write_answer();
    }
    return Verdict::finish;
}

FrontConnection::Verdict FrontConnection::read_head() {
    if (in_.empty()) return read_more();
    const http::HeadResult result = parser_.parse(in_.view(), seen_);
    switch (result.state) {
        case http::HeadState::incomplete:
            seen_ = in_.size();
            return read_more();
        case http::HeadState::refused:
            refuse(http::status_of(result.refusal));
            return Verdict::go_on;
        case http::HeadState::complete:
            break;
    }
    see(parser_.head());
    in_.consume(result.consumed);
    seen_ = 0;
    state_ = State::body;
    return Verdict::go_on;
}

void FrontConnection::see(const http::RequestHead& head) {
    request_.method = head.method_token;
    request_.target = head.path;
    request_.fields.clear();
    for (const http::Field& field : head.fields) {
        request_.fields.push_back({std::string(field.name), std::string(field.value)});
    }
    keep_alive_ = head.keep_alive && head.minor >= 1;
    body_.start(head.body, http::HeadLimits{}.size);
    if (head.expects_continue) out_.append("HTTP/1.1 100 Continue\r\n\r\n");
}

FrontConnection::Verdict FrontConnection::read_body() {
    if (const Verdict verdict = flush(); verdict != Verdict::go_on) return verdict;
    const http::BodyReader::Step step = body_.next(in_.view());
    in_.consume(step.consumed);
    switch (step.event) {
        case http::BodyReader::Event::need_more:
            return read_more();
        case http::BodyReader::Event::data:
            return Verdict::go_on;
        case http::BodyReader::Event::error:
            refuse(400);
            return Verdict::go_on;
        case http::BodyReader::Event::end:
            answer();
            return Verdict::go_on;
    }
    return Verdict::finish;
}

void FrontConnection::answer() {
    request_.body_bytes = body_.received();
    ++front_.requests_;
    answer_ = answer_to(request_, {front_.name_, front_.weight_, front_.requests_});
    if (answer_.delay.count() == 0) return begin_writing();
    state_ = State::waiting;
    front_.loop_.timers().arm(timer_,
                              front_.loop_.now_ms() + static_cast<std::uint64_t>(answer_.delay.count()));
}

void FrontConnection::begin_writing() {
    state_ = State::writing;
    out_.append(head_of(answer_, front_.name_, keep_alive_));
    filler_left_ = 0;
    if (!has_body(answer_, request_)) return;
    out_.append(answer_.body);
    filler_left_ = answer_.filler;
}

void FrontConnection::refuse(std::uint16_t status) {
    keep_alive_ = false;
    request_.method.clear();
    answer_ = Answer{};
    answer_.status = status;
    answer_.body = "The request was not understood.\n";
    begin_writing();
}

FrontConnection::Verdict FrontConnection::write_answer() {
    if (const Verdict verdict = flush(); verdict != Verdict::go_on) return verdict;
    if (filler_left_ == 0) return end_exchange();
    fill();
    return Verdict::go_on;
}

void FrontConnection::fill() {
    for (std::size_t room = kFillSize; room > 0 && filler_left_ > 0;) {
        const std::size_t piece =
            static_cast<std::size_t>(std::min<std::uint64_t>({kFillLine.size(), filler_left_, room}));
        out_.append(kFillLine.substr(0, piece));
        filler_left_ -= piece;
        room -= piece;
    }
}

FrontConnection::Verdict FrontConnection::end_exchange() {
    if (answer_.outage.count() > 0) {
        front_.fail_for(answer_.outage);
        return Verdict::wait;  // the front has forgotten this connection with all others
    }
    if (!keep_alive_) return Verdict::finish;
    state_ = State::head;
    return Verdict::go_on;
}

FrontConnection::Verdict FrontConnection::read_more() {
    if (!socket_.readable()) return Verdict::wait;
    const net::IoResult result = socket_.read(in_.reserve(kReadSize), kReadSize);
    switch (result.status) {
        case net::IoStatus::ok:
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

FrontConnection::Verdict FrontConnection::flush() {
    while (!out_.empty()) {
        const net::IoResult result = socket_.write(out_.view());
        if (result.status == net::IoStatus::would_block) return Verdict::wait;
        if (result.status != net::IoStatus::ok) return Verdict::finish;
        out_.consume(result.size);
    }
    return Verdict::go_on;
}

void FrontConnection::put_deadline_off() {
    if (state_ == State::waiting) return;
    front_.loop_.timers().arm(timer_, front_.loop_.now_ms() + kIdleMs);
}

}  // namespace palier::demo
