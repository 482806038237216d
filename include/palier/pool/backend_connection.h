// BackendConnection: one connection to a server, plain or TLS, leased to an exchange or idle in its pool.
// Thread: worker only. Owner: the WorkerServer; an exchange holds it through a Lease.
// Ends: when it is not fit for reuse, is idle for too long, or the server closes it.
#pragma once

#include "palier/base/buffer.h"
#include "palier/base/intrusive_list.h"
#include "palier/base/timer_wheel.h"
#include "palier/net/deferred.h"
#include "palier/net/send_deadline.h"
#include "palier/tls/transport.h"

#include <cstdint>
#include <string>

namespace palier::pool {

class WorkerServer;

/// Whoever holds the lease hears of the connection's events.
class BackendUser {
  public:
    /// The socket has noted what is ready already.
    virtual void on_backend_events(std::uint32_t ready) = 0;
    /// The deadline set by set_deadline() or set_send_deadline() has passed.
    virtual void on_backend_deadline() = 0;
    /// Its tunnel is to end, with a close to both sides: operators want the server for themselves.
    virtual void on_tunnel_unwanted() = 0;

  protected:
    ~BackendUser() = default;
};

class BackendConnection final : public net::Deferred,
                                public base::ListLink<BackendConnection>,
                                private net::Watcher {
  public:
    BackendConnection(net::Loop& loop, WorkerServer& server, base::BufferCache& buffers);

    /// Starts connecting.
    [[nodiscard]] base::Result<void> connect();
    /// After each event until it is open or has failed: then `why` says so.
    enum class Opening : std::uint8_t {
        shaking_hands,
        open,
        failed,
        spoke,  // or was closed, before it was asked
    };
    [[nodiscard]] Opening go_on_opening(std::string& why);

    [[nodiscard]] tls::Transport& transport() { return transport_; }
    /// Bytes of an incomplete response head.
    [[nodiscard]] base::Buffer& in() { return in_; }
    /// Bytes that the socket did not take yet.
    [[nodiscard]] base::Buffer& out() { return out_; }

    /// The socket has taken all that was written, and out() is empty.
    [[nodiscard]] bool drained() const { return out_.empty() && !transport_.sealed(); }

    /// It has served an exchange before: a close before the next response is nobody's failure.
    [[nodiscard]] bool reused() const { return reused_; }

    /// Asks the kernel whether the server has closed it or sent bytes that nobody asked for.
    [[nodiscard]] bool still_open() { return transport_.quiet(); }

    /// Ends it as if the server had reset it; its user hears of that by an event.
    void cut_off_now() {
        cut_off_ = true;
        transport_.socket().disconnect();
    }
    [[nodiscard]] bool cut_off() const { return cut_off_; }

    void set_deadline(std::uint64_t delay_ms) {
        sending_ = false;
        loop_.timers().arm(timer_, loop_.now_ms() + delay_ms);
    }
    /// The same after something was written: put off by whatever the server takes.
    void set_send_deadline(std::uint64_t delay_ms) {
        sending_ = true;
        loop_.timers().arm(timer_, send_deadline_.begin(loop_.now_ms(), delay_ms));
    }

  private:
    friend class WorkerServer;
    friend class Lease;

    void on_events(std::uint32_t ready) override;
    void on_timer();

    net::Loop& loop_;
    WorkerServer& server_;
    BackendUser* user_ = nullptr;  // null while idle
    tls::Transport transport_;
    base::Timer timer_;
    net::SendDeadline send_deadline_;
    base::Buffer in_;
    base::Buffer out_;
    bool reused_ = false;
    bool sending_ = false;  // the deadline is send_deadline_'s
    bool cut_off_ = false;
    bool tunnel_ = false;
    std::uint32_t plan_;  // of the server: how it is spoken to
};

}  // namespace palier::pool
