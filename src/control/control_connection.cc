#include "control/control_connection.h"

#include "control/reply.h"
#include "palier/base/log.h"
#include "palier/control/command_line.h"
#include "palier/control/control_socket.h"

#include <cstring>
#include <utility>

namespace palier::control {
namespace {

constexpr std::size_t kReadSize = 4 * 1024;
constexpr std::uint64_t kLeaveMs = 2'000;
constexpr std::size_t kMostDropped = 1024 * 1024;

}  // namespace

ControlConnection::~ControlConnection() {
    if (reply_ != nullptr) reply_->detach();
}

bool ControlConnection::start(int descriptor, Place place) {
    place_ = place;
    set_deadline();
    return socket_.adopt(owner_.loop_, descriptor, *this);
}

void ControlConnection::close() {
    std::size_t written = 0;
    if (socket_.open()) static_cast<void>(out_.write_to(socket_, written));
    socket_.close();
    out_.clear();
    base::TimerWheel::disarm(timer_);
    if (reply_ != nullptr) std::exchange(reply_, nullptr)->client_gone();
}

void ControlConnection::send(std::string_view line, bool last, OwnedDescriptors descriptors) {
    if (gone_ || overrun_) return;
    owner_.loop_.again(*this);
    // A line may be of any size, and a command may have much to say in one turn; but what a client does not take is
    // not kept without end. After the last line there is no more of it.
    std::size_t written = 0;
    if (!last && out_.size() >= owner_.limits_.pending) {
        static_cast<void>(out_.write_to(socket_, written));
        overrun_ = out_.size() >= owner_.limits_.pending;
    }
    progressed_ = progressed_ || written > 0;
    if (!overrun_) out_.add(line, std::move(descriptors));
}

void ControlConnection::reply_ended() {
    reply_ = nullptr;
    owner_.loop_.again(*this);
}

void ControlConnection::on_events(std::uint32_t ready) {
    if (!socket_.open()) return;
    socket_.note(ready);
    if ((ready & net::kHangup) != 0) hangup_ = true;
    advance();
}

void ControlConnection::on_again() {
    if (socket_.open()) advance();
}

void ControlConnection::on_timer() {
    switch (waiting_) {
        case Waiting::line:
            refuse("the line did not come in time");
            advance();
            return;
        case Waiting::taking:
            base::log_info("control: a client, pid {}, does not read its answers and is cut off", peer_.pid);
            break;
        case Waiting::request:
        case Waiting::command:
        case Waiting::leaving:
            break;
    }
    owner_.forget(*this);
}

void ControlConnection::advance() {
    Verdict verdict = Verdict::go_on;
    while (verdict == Verdict::go_on)
        verdict = step();
    if (verdict == Verdict::finish) {
        owner_.forget(*this);
        return;
    }
    set_deadline();
}

ControlConnection::Verdict ControlConnection::step() {
    if (const Verdict given = give_out(); given != Verdict::go_on) return given;
    if (reply_ != nullptr) return client_gone() ? Verdict::finish : Verdict::wait;
    if (refused_) return leave();
    return take_line();
}

/// go_on: the client has all that there was for it, or is gone.
ControlConnection::Verdict ControlConnection::give_out() {
    if (overrun_) {
        base::log_info("control: a client, pid {}, reads too slowly and is cut off", peer_.pid);
        return Verdict::finish;
    }
    std::size_t written = 0;
    const net::IoStatus status = out_.write_to(socket_, written);
    progressed_ = progressed_ || written > 0;
    if (status == net::IoStatus::would_block) return Verdict::wait;
    if (status == net::IoStatus::failed) {
        gone_ = true;
        out_.clear();
    }
    return Verdict::go_on;
}

ControlConnection::Verdict ControlConnection::take_line() {
    const std::string_view bytes = in_.view();
    const std::size_t end = bytes.find('\n', seen_);
    if (end == std::string_view::npos) {
        seen_ = bytes.size();
        return without_line();
    }
    if (end > kLongestLine) {
        refuse("the line is longer than 64 KiB");
        return Verdict::go_on;
    }
    seen_ = 0;
    progressed_ = true;
    serve(bytes.substr(0, end));
    in_.consume(end + 1);
    // One request a turn: whoever sends them without end shares the loop.
    owner_.loop_.again(*this);
    return Verdict::wait;
}

ControlConnection::Verdict ControlConnection::without_line() {
    if (in_.size() > kLongestLine) {
        refuse("the line is longer than 64 KiB");
        return Verdict::go_on;
    }
    if (!ended_) return read_more();
    // What is cut off may have meant something else when it was whole.
    if (in_.empty() || gone_ || client_gone()) return Verdict::finish;
    refuse("the last line has no end and is not obeyed");
    return Verdict::go_on;
}

ControlConnection::Verdict ControlConnection::read_more() {
    // A client that takes nothing any more has had its last command with the last that can be read.
    const Verdict nothing = gone_ ? Verdict::finish : Verdict::wait;
    if (!socket_.readable()) return nothing;
    if (in_.empty()) in_.release();  // after a long line
    const net::IoResult result = socket_.read(in_.reserve(kReadSize), kReadSize);
    switch (result.status) {
        case net::IoStatus::ok:
            // A read ends where descriptors came along (which recv closes, for want of a place to put them), even if
            // there is more.
            socket_.note(net::kReadable);
            in_.commit(result.size);
            return Verdict::go_on;
        case net::IoStatus::would_block:
            return nothing;
        case net::IoStatus::closed:
            ended_ = true;
            return Verdict::go_on;
        case net::IoStatus::failed:
            ended_ = gone_ = true;
            return Verdict::go_on;
    }
    return Verdict::finish;
}

/// Closed at once, what the client still sends would end in an error for it, before it has read why.
ControlConnection::Verdict ControlConnection::leave() {
    if (dropped_ == 0) socket_.shutdown_write();
    while (!ended_ && !gone_ && dropped_ < kMostDropped) {
        if (const Verdict verdict = read_more(); verdict != Verdict::go_on) return verdict;
        dropped_ += in_.size() + 1;
        in_.clear();
    }
    return Verdict::finish;
}

void ControlConnection::serve(std::string_view line) {
    auto request = parse_line(line);
    if (request && request->command.empty()) return;
    const auto reply = std::make_shared<ConnectionReply>(*this);
    reply_ = reply.get();
    if (!request) return reply->fail(request.error().message);
    request->peer = peer_;
    owner_.commands_.run(*request, reply);
}

/// The connection ends with it.
void ControlConnection::refuse(std::string_view why) {
    refused_ = true;
    in_.release();
    seen_ = 0;
    const auto reply = std::make_shared<ConnectionReply>(*this);
    reply->fail(why);
}

bool ControlConnection::client_gone() {
    gone_ = gone_ || (hangup_ && net::local_peer_gone(socket_.descriptor()));
    return gone_;
}

ControlConnection::Waiting ControlConnection::waiting_now() const {
    if (!out_.empty()) return Waiting::taking;
    if (reply_ != nullptr) return Waiting::command;
    if (refused_) return Waiting::leaving;
    return in_.empty() ? Waiting::request : Waiting::line;
}

/// A deadline moves only when something else is waited for, or something was reached.
void ControlConnection::set_deadline() {
    const Waiting waiting = waiting_now();
    const bool progressed = std::exchange(progressed_, false);
    if (waiting == std::exchange(waiting_, waiting) && !progressed) return;
    const auto deadline_in = [&]() -> std::uint64_t {
        switch (waiting) {
            case Waiting::request:
                return owner_.limits_.idle_ms;
            case Waiting::line:
                return owner_.limits_.line_ms;
            case Waiting::taking:
                return owner_.limits_.write_ms;
            case Waiting::leaving:
                return kLeaveMs;
            case Waiting::command:
                break;
        }
        return base::Timer::kNever;
    }();
    const bool never = deadline_in == base::Timer::kNever;
    owner_.loop_.timers().arm(timer_, never ? deadline_in : owner_.loop_.now_ms() + deadline_in);
}

}  // namespace palier::control
