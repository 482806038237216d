// ClientConnection: one client's connection: its transport, its deadline, what could not be sent yet, and its
// end. What is spoken on it is its descendants' matter: client_handshake (PROXY header, TLS), then
// h1_connection or h2_connection, which take the transport over.
//
// While `out` holds anything, nothing more is fetched for this client. An idle connection owns no memory but
// itself.
//
// Thread: worker only. Owner: the worker's list of connections. Ends: close(), then deferred deletion.
#pragma once

#include "palier/base/buffer.h"
#include "palier/base/intrusive_list.h"
#include "palier/base/ip.h"
#include "palier/base/timer_wheel.h"
#include "palier/net/deferred.h"
#include "palier/net/loop.h"
#include "palier/net/send_deadline.h"
#include "palier/proxy/listener_facts.h"
#include "palier/proxy/termination.h"
#include "palier/tls/transport.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace palier::proxy {

class WorkerCore;

class ClientConnection : public net::Deferred,
                         public base::ListLink<ClientConnection>,
                         private net::Watcher,
                         private net::Task {
  public:
    /// Takes an accepted descriptor; on failure the connection is closed at once.
    static void accept(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener, int descriptor,
                       const base::SocketAddress& peer);
    ~ClientConnection() override;

    /// Graceful stop: an idle connection closes, a busy one after what it is doing.
    virtual void wind_down() = 0;
    /// Tells the client to go where that can be said at any time; an idle connection stays.
    virtual void tell_to_go() {}
    /// Memory is short: a request that has not come in whole, or a handshake, is given up with what it holds.
    virtual void give_up_request() {}
    /// A request is being served.
    [[nodiscard]] virtual bool busy() const { return false; }
    [[nodiscard]] bool listener_leaves() const { return listener_->leaving; }
    /// The grace is over: closes at once.
    void abort();

  protected:
    ClientConnection(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener,
                     const base::SocketAddress& peer);
    /// Takes over the transport of `former`, which is gone with the end of this turn.
    explicit ClientConnection(ClientConnection& former);

    /// There is something to read, or go_on_later() was asked for.
    virtual void on_readable() = 0;
    /// All that could not be sent at once is sent.
    virtual void on_drained() = 0;
    /// The connection is about to end.
    virtual void on_close(Termination reason) = 0;

    /// The deadline that the timer stands for. Those of write and linger are put off by whatever the client
    /// takes.
    enum class Waiting : std::uint8_t { nothing, handshake, request, body, idle, write, linger };
    /// Any but write and linger, which end the connection.
    virtual void on_deadline(Waiting what) = 0;
    void wait_for(Waiting what, std::chrono::milliseconds delay);
    void wait_for_nothing() { waiting_for_ = Waiting::nothing; }

    /// Sends [begin, end) or keeps what the socket does not take. A broken connection takes nothing and is
    /// closed in the next turn. `last`: nothing will be sent after it.
    void send(const char* begin, const char* end, bool last = false);
    /// There are bytes that the socket did not take yet, or it is broken.
    [[nodiscard]] bool stuck() const { return broken_ || holds_output(); }
    /// The deadline is that of stuck() bytes.
    [[nodiscard]] bool waits_to_write() const { return waiting_for_ == Waiting::write; }
    /// The socket failed: close in the next turn.
    void fail();
    void go_on_later();
    /// Ends the connection with a reset, so that the client can tell.
    void cut_connection();
    /// Says that no more will come, and drops what the client still sends for a while.
    void linger();
    void close();

    [[nodiscard]] const config::TimeoutsConfig& timeouts() const;

    WorkerCore& core_;
    std::shared_ptr<const ListenerFacts> listener_;
    tls::Transport transport_;
    base::SocketAddress peer_;
    std::unique_ptr<const std::string> subject_;  // of a verified client certificate; null for none
    bool broken_ = false;                         // the socket failed or was cut
    bool closed_ = false;
    bool lingering_ = false;
    bool piped_ = false;  // a pipe holds what the socket did not take

  private:
    [[nodiscard]] bool holds_output() const { return piped_ || !out_.empty() || transport_.sealed(); }
    void enlist();
    void on_events(std::uint32_t ready) override;
    void on_again() override;
    void on_timer();
    [[nodiscard]] bool still_takes();
    void flush();
    void read_and_drop();

    Waiting waiting_for_ = Waiting::nothing;
    Termination give_up_ = Termination::client_closed;  // what close() tells
    std::uint32_t dropped_ = 0;                         // bytes read while lingering
    base::Timer timer_;
    net::SendDeadline send_deadline_;  // of write and linger
    base::Buffer out_;
};

}  // namespace palier::proxy
