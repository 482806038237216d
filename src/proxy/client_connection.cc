#include "palier/proxy/client_connection.h"

#include "palier/proxy/exchange.h"
#include "palier/proxy/proxy_protocol.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>
#include <cstring>

namespace palier::proxy {
namespace {

constexpr std::size_t kHeadRead = 64 * 1024;  // bytes a read, at most
constexpr std::size_t kBodyRead = 128 * 1024;
constexpr int kReadsPerTurn = 4;                     // then other connections have theirs
constexpr std::chrono::milliseconds kStopIdle{500};  // for a next request, when palier stops
constexpr std::chrono::milliseconds kLinger{
    2'000};  // for a client that is still sending to take in its answer
constexpr std::uint32_t kLingerBytes = 1024 * 1024;  // … and as much of what it sends is read

struct RefusalAnswer {
    std::uint16_t status;
    Termination reason;
};

RefusalAnswer answer_to(http::Refusal refusal) {
    const std::uint16_t status = http::status_of(refusal);
    switch (status) {
        case 431:
            return {status, Termination::head_too_large};
        case 414:
            return {status, Termination::target_too_long};
        case 405:
        case 417:
        case 505:
            return {status, Termination::not_supported};
        default:
            return {status, Termination::bad_request};
    }
}

}  // namespace

void ClientConnection::accept(WorkerCore& core, const ListenerFacts& listener, int descriptor,
                              const base::SocketAddress& peer) {
    auto connection = std::unique_ptr<ClientConnection>(new ClientConnection(core, listener, peer));
    if (!connection->socket_.adopt(core.loop, descriptor, *connection)) return;
    ClientConnection& open = *connection.release();  // owned by the list until close()
    core.connections.push_back(open);
    ++core.connection_count;
    open.wait_for(Waiting::request, core.snapshot->config->timeouts.client_header);
}

ClientConnection::ClientConnection(WorkerCore& core, const ListenerFacts& listener,
                                   const base::SocketAddress& peer)
    : core_(core),
      listener_(listener),
      timer_(base::Timer::calling<&ClientConnection::on_timer>(this)),
      in_(&core.buffers),
      out_(&core.buffers),
      peer_(peer),
      state_(listener.proxy_protocol == config::ProxyProtocol::off ? State::idle : State::proxy_header) {}

ClientConnection::~ClientConnection() = default;

void ClientConnection::on_events(std::uint32_t ready) {
    if (state_ == State::closed) return;
    socket_.note(ready);
    if ((ready & net::kError) != 0) {
        close();
        return;
    }
    if ((ready & net::kWritable) != 0) flush();
    if (socket_.readable()) go_on();
}

void ClientConnection::on_again() {
    if (broken_) {
        close();
    } else {
        go_on();
    }
}

/// Uses what there is to read, or was read already.
void ClientConnection::go_on() {
    switch (state_) {
        case State::proxy_header:
            read_proxy_header();
            return;
        case State::idle:
        case State::head:
            read_head();
            return;
        case State::exchange:
            read_body();
            return;
        case State::lingering:
            read_and_drop();
            return;
        case State::closed:
            return;
    }
}

void ClientConnection::read_proxy_header() {
    std::string_view bytes = in_.view();
    const net::IoResult got = read_more(bytes);
    if (got.status == net::IoStatus::would_block) return;
    if (got.status != net::IoStatus::ok) {
        close();
        return;
    }
    if (in_.empty()) in_.append(bytes);
    const bool required = listener_.proxy_protocol == config::ProxyProtocol::required;
    const auto& trusted = core_.snapshot->config->trusted_proxies;
    const bool believed =
        std::ranges::any_of(trusted, [&](const auto& net) { return net.contains(peer_.ip()); });
    const ProxyHeader header =
        believed ? parse_proxy_header(in_.view()) : ProxyHeader{.state = ProxyHeader::State::absent};
    switch (header.state) {
        case ProxyHeader::State::incomplete:
            if (socket_.readable()) core_.loop.again(*this);
            return;
        case ProxyHeader::State::malformed:
            close();
            return;
        case ProxyHeader::State::absent:
            if (required) {
                close();
                return;
            }
            break;
        case ProxyHeader::State::complete:
            in_.consume(header.consumed);
            if (header.source) peer_ = *header.source;
            break;
    }
    state_ = State::idle;
    if (in_.empty()) in_.release();
    if (!in_.empty() || socket_.readable()) read_head();
}

void ClientConnection::read_head() {
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
    const http::HeadResult result = core_.request_parser.parse(bytes, head_seen_);
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
    if (state_ == State::idle && served_)
        wait_for(Waiting::request, core_.snapshot->config->timeouts.client_header);
    state_ = State::head;
    head_seen_ = static_cast<std::uint32_t>(bytes.size());
    if (in_.empty()) in_.append(bytes);
    if (socket_.readable()) core_.loop.again(*this);
}

/// Reads once; `bytes` becomes all that is there: in `in_` if that held something, else in the scratch
/// buffer.
net::IoResult ClientConnection::read_more(std::string_view& bytes) {
    if (!socket_.readable()) return {};
    const bool gather = !in_.empty();
    char* place = gather ? in_.reserve(std::max<std::size_t>(in_.size(), 4096)) : core_.scratch.data();
    const net::IoResult got = socket_.read(place, gather ? std::min(in_.room(), kHeadRead) : kHeadRead);
    if (got.status != net::IoStatus::ok) return got;
    if (gather) {
        in_.commit(got.size);
        bytes = in_.view();
    } else {
        bytes = {place, got.size};
    }
    return got;
}

void ClientConnection::begin_exchange(std::string_view bytes, std::size_t head_size) {
    state_ = State::exchange;
    served_ = true;
    waiting_for_ = Waiting::nothing;
    exchange_ = core_.take_exchange();
    const http::RequestHead& head = core_.request_parser.head();
    const std::string_view rest = bytes.substr(head_size);
    const bool gathered = !in_.empty();
    // What follows the head in `in_` is copied to where a body can be reframed; not all that may be pipelined
    // there.
    const std::size_t size = gathered ? std::min(rest.size(), kBodyRead) : rest.size();
    char* place = core_.scratch.data() + (gathered ? 0 : head_size);
    if (gathered && head.body.framing != http::Framing::none) std::memcpy(place, rest.data(), size);
    const std::size_t used = exchange_->begin(*this, head, place, place + size, first_byte_us_, head_size);
    if (gathered) {
        in_.consume(head_size + used);
        if (in_.empty()) in_.release();
    } else if (used < size) {
        in_.append({place + used, size - used});
    }
    exchange_->start();
}

void ClientConnection::refuse(http::Refusal refusal) {
    const RefusalAnswer answer = answer_to(refusal);
    answer_and_close(answer.status, answer.reason);
}

/// An answer to something that is no request.
void ClientConnection::answer_and_close(std::uint16_t status, Termination reason) {
    state_ = State::exchange;
    in_.release();
    head_seen_ = 0;
    waiting_for_ = Waiting::nothing;
    exchange_ = core_.take_exchange();
    exchange_->begin_refused(*this, status, reason);
    exchange_->start();
}

void ClientConnection::resume_body() {
    if (!in_.empty() || socket_.readable()) {
        core_.loop.again(*this);
    } else if (!blocked()) {
        wait_for_body();
    }
}

void ClientConnection::read_body() {
    for (int reads = 0; state_ == State::exchange && !broken_ && exchange_->wants_body(); ++reads) {
        if (reads == kReadsPerTurn) {
            core_.loop.again(*this);
            return;
        }
        if (in_.empty() && exchange_->splices_body()) {
            if (!socket_.readable()) break;
            const net::IoStatus moved = exchange_->splice_body(socket_);
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
        char* place = core_.scratch.data();
        std::size_t size = std::min(in_.size(), kBodyRead);
        if (size > 0) {
            std::memcpy(place, in_.data(), size);
            in_.consume(size);
        } else if (!socket_.readable()) {
            break;
        } else {
            const net::IoResult got = socket_.read(place, kBodyRead);
            if (got.status == net::IoStatus::would_block) break;
            if (got.status == net::IoStatus::closed) {
                eof_ = true;
                exchange_->on_client_eof();
                return;
            }
            if (got.status == net::IoStatus::failed) {
                close();
                return;
            }
            size = got.size;
        }
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

void ClientConnection::write(const char* begin, const char* end) {
    if (broken_ || state_ == State::closed) return;
    std::string_view bytes(begin, static_cast<std::size_t>(end - begin));
    if (out_.empty()) {
        const net::IoResult sent = socket_.write(bytes);
        if (sent.status == net::IoStatus::failed) {
            broken_ = true;
            core_.loop.again(*this);
            return;
        }
        if (sent.status == net::IoStatus::ok) bytes.remove_prefix(sent.size);
        if (bytes.empty()) return;
    }
    out_.append(bytes);
    wait_for(Waiting::write, core_.snapshot->config->timeouts.client_write);
}

std::size_t ClientConnection::take_from(net::Pipe& pipe) {
    if (broken_ || state_ == State::closed) return 0;
    const net::IoResult sent = pipe.drain(socket_);
    if (sent.status == net::IoStatus::failed) {
        broken_ = true;
        core_.loop.again(*this);
    } else if (sent.status == net::IoStatus::would_block) {
        piped_ = true;
        wait_for(Waiting::write, core_.snapshot->config->timeouts.client_write);
    }
    return sent.size;
}

void ClientConnection::flush() {
    if (piped_) {
        piped_ = false;
        waiting_for_ = Waiting::nothing;
        exchange_->on_client_drained();
        if (state_ == State::exchange && !blocked() && exchange_->wants_body()) wait_for_body();
        return;
    }
    if (out_.empty()) return;
    const net::IoResult sent = socket_.write(out_.view());
    if (sent.status == net::IoStatus::would_block) return;
    if (sent.status == net::IoStatus::failed) {
        close();
        return;
    }
    out_.consume(sent.size);
    if (!out_.empty()) {
        wait_for(Waiting::write, core_.snapshot->config->timeouts.client_write);
        return;
    }
    out_.release();
    waiting_for_ = Waiting::nothing;
    if (exchange_) exchange_->on_client_drained();
    if (state_ == State::exchange && exchange_->wants_body()) wait_for_body();
}

void ClientConnection::finish_exchange(After after) {
    core_.retire(std::move(exchange_));
    if (broken_) return;  // on_again() closes
    if (after == After::linger || (after == After::close && (socket_.readable() || !in_.empty()))) {
        linger();
        return;
    }
    if (after == After::close || eof_) {
        close();
        return;
    }
    state_ = State::idle;
    wait_for(Waiting::request, core_.stopping ? kStopIdle : core_.snapshot->config->timeouts.client_idle);
    if (!in_.empty() || socket_.readable()) core_.loop.again(*this);
}

/// The last answer is given. Closing with bytes unread would reset the connection and could take the answer
/// with it, so the client is told that no more will come, and what it still sends is dropped for a while.
void ClientConnection::linger() {
    in_.release();
    state_ = State::lingering;
    socket_.shutdown_write();
    wait_for(Waiting::linger, kLinger);
    read_and_drop();
}

void ClientConnection::read_and_drop() {
    while (socket_.readable()) {
        const net::IoResult got = socket_.read(core_.scratch.data(), kBodyRead);
        if (got.status == net::IoStatus::would_block) return;
        dropped_ += static_cast<std::uint32_t>(got.size);
        if (got.status != net::IoStatus::ok || dropped_ > kLingerBytes) {
            close();
            return;
        }
    }
}

void ClientConnection::cut() {
    if (state_ == State::closed) return;
    socket_.close_with_reset();
    broken_ = true;
    core_.loop.again(*this);
}

void ClientConnection::wait_for_body() {
    if (blocked()) return;
    if (exchange_->tunnelling() || exchange_->awaits_continue()) {
        waiting_for_ = Waiting::nothing;  // the deadline is the backend's
    } else {
        wait_for(Waiting::body, exchange_->body_timeout());
    }
}

void ClientConnection::wait_for(Waiting what, std::chrono::milliseconds delay) {
    waiting_for_ = what;
    core_.loop.timers().arm(timer_, core_.loop.now_ms() + static_cast<std::uint64_t>(delay.count()));
}

void ClientConnection::on_timer() {
    if (broken_ || state_ == State::closed) return;
    switch (waiting_for_) {
        case Waiting::nothing:
            return;
        case Waiting::request:
            if (state_ == State::head) {
                answer_and_close(408, Termination::client_timeout_header);
            } else {
                close();
            }
            return;
        case Waiting::body:
            if (exchange_->wants_body()) exchange_->on_client_body_timeout();
            return;
        case Waiting::write:
            give_up_ = Termination::client_write_timeout;
            cut();
            return;
        case Waiting::linger:
            close();
            return;
    }
}

void ClientConnection::wind_down() {
    if (state_ == State::idle && in_.empty() && served_ && !socket_.readable()) close();
}

void ClientConnection::abort() {
    give_up_ = Termination::shutdown;
    close();
}

void ClientConnection::close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    broken_ = true;
    if (exchange_) exchange_->on_client_gone(give_up_);
    if (exchange_) core_.retire(std::move(exchange_));
    socket_.close();
    base::TimerWheel::disarm(timer_);
    Task::unlink();
    ListLink<ClientConnection>::unlink();
    --core_.connection_count;
    core_.loop.defer_delete(std::unique_ptr<ClientConnection>(this));
}

}  // namespace palier::proxy
