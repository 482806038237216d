#include "palier/proxy/client_connection.h"

#include "palier/proxy/client_handshake.h"
#include "palier/proxy/h1_connection.h"
#include "palier/proxy/worker_core.h"

namespace palier::proxy {
namespace {

constexpr std::size_t kDropRead = 128 * 1024;  // bytes a read
// For a client that is still sending to take in more of its answer, and as much of what it sends is read.
constexpr std::chrono::milliseconds kLinger{2'000};
constexpr std::uint32_t kLingerBytes = 1024 * 1024;

}  // namespace

void ClientConnection::accept(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener, int descriptor,
                              const base::SocketAddress& peer) {
    std::unique_ptr<ClientConnection> connection;
    const bool greets = listener->tls || listener->proxy_protocol != config::ProxyProtocol::off;
    if (greets) {
        connection = std::make_unique<ClientHandshake>(core, std::move(listener), peer);
    } else {
        connection = std::make_unique<H1Connection>(core, std::move(listener), peer);
    }
    if (!connection->transport_.socket().adopt(core.loop, descriptor, *connection)) return;
    ClientConnection& open = *connection.release();  // owned by the list until close()
    open.enlist();
    if (greets) {
        open.wait_for(Waiting::handshake, open.timeouts().handshake);
    } else {
        open.wait_for(Waiting::request, open.timeouts().client_header);
    }
}

ClientConnection::ClientConnection(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener,
                                   const base::SocketAddress& peer)
    : core_(core),
      listener_(std::move(listener)),
      peer_(peer),
      timer_(base::Timer::calling<&ClientConnection::on_timer>(this)),
      out_(&core.buffers) {}

ClientConnection::ClientConnection(ClientConnection& former)
    : core_(former.core_),
      listener_(std::move(former.listener_)),
      transport_(std::move(former.transport_)),
      peer_(former.peer_),
      subject_(std::move(former.subject_)),
      timer_(base::Timer::calling<&ClientConnection::on_timer>(this)),
      out_(&former.core_.buffers) {
    enlist();
    transport_.socket().rewatch(*this);
    former.close();
}

ClientConnection::~ClientConnection() = default;

void ClientConnection::enlist() {
    core_.connections.push_back(*this);
    ++core_.connection_count;
}

const config::TimeoutsConfig& ClientConnection::timeouts() const {
    return core_.snapshot->config->timeouts;
}

void ClientConnection::on_events(std::uint32_t ready) {
    if (closed_) return;
    transport_.note(ready);
    if ((ready & net::kError) != 0) {
        close();
        return;
    }
    if ((ready & net::kWritable) != 0) flush();
    if (!closed_ && transport_.readable()) on_again();
}

void ClientConnection::on_again() {
    if (broken_) {
        close();
    } else if (lingering_) {
        read_and_drop();
    } else {
        on_readable();
    }
}

void ClientConnection::go_on_later() {
    core_.loop.again(*this);
}

void ClientConnection::fail() {
    broken_ = true;
    core_.loop.again(*this);
}

void ClientConnection::send(const char* begin, const char* end, bool last) {
    if (broken_ || closed_) return;
    std::string_view bytes(begin, static_cast<std::size_t>(end - begin));
    if (out_.empty()) {
        const net::IoResult sent = transport_.write(bytes, last);
        if (sent.status == net::IoStatus::failed) {
            fail();
            return;
        }
        if (sent.status == net::IoStatus::ok) bytes.remove_prefix(sent.size);
    }
    out_.append(bytes);
    if (stuck()) wait_for(Waiting::write, timeouts().client_write);
}

/// The socket takes bytes again.
void ClientConnection::flush() {
    if (!holds_output()) return;
    if (transport_.sealed()) {
        const net::IoResult sent = transport_.flush();
        if (sent.status == net::IoStatus::failed) {
            close();
        } else if (sent.status == net::IoStatus::would_block && sent.size > 0) {
            wait_for(Waiting::write, timeouts().client_write);
        }
        if (sent.status != net::IoStatus::ok) return;
    }
    if (!out_.empty()) {
        const net::IoResult sent = transport_.write(out_.view());
        if (sent.status == net::IoStatus::failed) close();
        if (sent.status != net::IoStatus::ok) return;
        out_.consume(sent.size);
        if (stuck()) {
            wait_for(Waiting::write, timeouts().client_write);
            return;
        }
        out_.release();
    }
    piped_ = false;
    if (waiting_for_ == Waiting::write) waiting_for_ = Waiting::nothing;
    on_drained();
}

/// The last answer is given. Closing with bytes unread would reset the connection and could take the answer
/// with it, so the client is told that no more will come, and what it still sends is dropped for a while.
void ClientConnection::linger() {
    lingering_ = true;
    transport_.shutdown_write();
    wait_for(Waiting::linger, kLinger);
    read_and_drop();
}

void ClientConnection::read_and_drop() {
    while (transport_.readable()) {
        const net::IoResult got = transport_.read(core_.scratch.data(), kDropRead);
        if (got.status == net::IoStatus::would_block) return;
        dropped_ += static_cast<std::uint32_t>(got.size);
        if (got.status != net::IoStatus::ok || dropped_ > kLingerBytes) {
            close();
            return;
        }
    }
}

void ClientConnection::cut_connection() {
    if (closed_) return;
    transport_.close_with_reset();
    fail();
}

void ClientConnection::wait_for(Waiting what, std::chrono::milliseconds delay) {
    waiting_for_ = what;
    const std::uint64_t now = core_.loop.now_ms();
    const auto patience = static_cast<std::uint64_t>(delay.count());
    const bool sends = what == Waiting::write || what == Waiting::linger;
    core_.loop.timers().arm(timer_, sends ? send_deadline_.begin(now, patience) : now + patience);
}

/// The client still takes what the kernel holds for it: there will be another look.
bool ClientConnection::still_takes() {
    const std::uint64_t next = send_deadline_.look(transport_.socket(), core_.loop.now_ms());
    if (next == net::SendDeadline::kOver) return false;
    core_.loop.timers().arm(timer_, next);
    return true;
}

void ClientConnection::on_timer() {
    if (broken_ || closed_) return;
    switch (waiting_for_) {
        case Waiting::nothing:
            return;
        case Waiting::write:
            if (still_takes()) return;
            give_up_ = Termination::client_write_timeout;
            cut_connection();
            return;
        case Waiting::linger:
            if (still_takes()) return;
            close();
            return;
        case Waiting::handshake:
        case Waiting::request:
        case Waiting::body:
        case Waiting::idle:
            on_deadline(waiting_for_);
            return;
    }
}

void ClientConnection::abort() {
    give_up_ = Termination::shutdown;
    close();
}

void ClientConnection::close() {
    if (closed_) return;
    closed_ = broken_ = true;
    on_close(give_up_);
    transport_.close();
    base::TimerWheel::disarm(timer_);
    Task::unlink();
    ListLink<ClientConnection>::unlink();
    --core_.connection_count;
    core_.loop.defer_delete(std::unique_ptr<ClientConnection>(this));
}

}  // namespace palier::proxy
