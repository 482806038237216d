// ClientConnection: one client's TCP connection that speaks HTTP/1: reads heads, feeds bodies to the exchange
// of the moment, carries its answer out, and lives on to the next request.
//
// It owns memory only while it holds bytes: an incomplete head or what follows a complete request (in), and
// what the socket did not take (out). While `out` holds anything, the exchange reads nothing more from its
// backend.
//
// Thread: worker only. Owner: the worker's list of connections. Ends: close(), then deferred deletion.
#pragma once

#include "palier/base/buffer.h"
#include "palier/base/intrusive_list.h"
#include "palier/base/ip.h"
#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/http/h1_parser.h"
#include "palier/net/deferred.h"
#include "palier/net/pipe.h"
#include "palier/net/socket.h"
#include "palier/proxy/termination.h"

#include <cstdint>
#include <memory>
#include <string_view>

namespace palier::proxy {

class Exchange;
class WorkerCore;

/// What a connection must know of the listener it came through.
struct ListenerFacts {
    std::size_t index = 0;  // in Config::listeners
    std::string name;
    std::string port;         // as text, for X-Forwarded-Port
    std::string_view scheme;  // "http" or "https"
    config::ProxyProtocol proxy_protocol = config::ProxyProtocol::off;
};

/// What becomes of a connection after an answer.
enum class After : std::uint8_t {
    keep_alive,  // the next request may follow
    close,       // the client knows that it is over and has nothing more to send
    linger,      // the client may still be sending
};

class ClientConnection final : public net::Deferred,
                               public base::ListLink<ClientConnection>,
                               private net::Watcher,
                               private net::Task {
  public:
    /// Takes an accepted descriptor; on failure the connection is closed at once. `listener` outlives it.
    static void accept(WorkerCore& core, const ListenerFacts& listener, int descriptor,
                       const base::SocketAddress& peer);
    ~ClientConnection() override;

    [[nodiscard]] const ListenerFacts& listener() const { return listener_; }
    [[nodiscard]] const base::SocketAddress& peer() const { return peer_; }

    // For the exchange.

    /// Sends [begin, end) or keeps what the socket does not take. A broken connection takes nothing and is
    /// closed in the next turn.
    void write(const char* begin, const char* end);
    /// There are bytes that the socket did not take yet, or it is broken: give no more for now.
    [[nodiscard]] bool blocked() const { return broken_ || piped_ || !out_.empty(); }
    /// Sends what `pipe` holds; while it could not send all, the connection is blocked. Returns the bytes
    /// sent.
    std::size_t take_from(net::Pipe& pipe);
    /// The exchange wants request body bytes again, after it did not.
    void resume_body();
    /// The exchange has nothing more to do.
    void finish_exchange(After after);
    /// Ends the connection in the middle of an answer, so that the client can tell.
    void cut();
    void shutdown_write() { socket_.shutdown_write(); }

    // For the worker.

    /// Graceful stop: an idle connection closes, a busy one after its answer.
    void wind_down();
    /// The grace is over: closes at once.
    void abort();

  private:
    enum class State : std::uint8_t {
        proxy_header,  // waits for the PROXY protocol header
        idle,          // between requests; owns no memory
        head,          // some bytes of a head have come
        exchange,      // a request is being served
        lingering,     // the last answer is given; what the client still sends is read and dropped
        closed,
    };

    ClientConnection(WorkerCore& core, const ListenerFacts& listener, const base::SocketAddress& peer);

    void on_events(std::uint32_t ready) override;
    void on_again() override;
    void on_timer();

    void go_on();
    void read_proxy_header();
    void read_head();
    void begin_exchange(std::string_view bytes, std::size_t head_size);
    void refuse(http::Refusal refusal);
    void answer_and_close(std::uint16_t status, Termination reason);
    void read_body();
    void linger();
    void read_and_drop();
    void flush();
    void close();

    /// The deadline that the timer stands for.
    enum class Waiting : std::uint8_t { nothing, request, body, write, linger };
    void wait_for(Waiting what, std::chrono::milliseconds delay);
    void wait_for_body();

    [[nodiscard]] net::IoResult read_more(std::string_view& bytes);

    WorkerCore& core_;
    const ListenerFacts& listener_;
    std::unique_ptr<Exchange> exchange_;  // null between requests
    net::Socket socket_;
    base::Timer timer_;
    base::Buffer in_;
    base::Buffer out_;
    base::SocketAddress peer_;
    std::uint64_t first_byte_us_ = 0;  // of the request that is being read
    std::uint32_t head_seen_ = 0;      // bytes of an incomplete head that were looked at
    std::uint32_t dropped_ = 0;        // bytes read while lingering
    State state_;
    Waiting waiting_for_ = Waiting::nothing;
    Termination give_up_ = Termination::client_closed;  // why close() ends an exchange
    bool broken_ = false;  // the socket failed or was cut; close in the next turn
    bool piped_ = false;   // the exchange's pipe holds what the socket did not take
    bool eof_ = false;     // the client has finished sending
    bool served_ = false;  // at least one request has come
};

}  // namespace palier::proxy
