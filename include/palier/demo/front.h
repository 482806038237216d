// Front: one of the small web servers that `palier demo` puts behind the proxy. Its page tells which front
// answered and what reached it; a few paths make it slow, failing, large or absent.
// Thread: that of its loop. Owner: the demo command. Ends: the destructor, which closes every connection; not
// from within a turn of the loop.
#pragma once

#include "palier/base/result.h"
#include "palier/base/timer_wheel.h"
#include "palier/net/listener.h"
#include "palier/net/loop.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

namespace palier::demo {

class FrontConnection;

class Front : private net::Listener::Acceptor {
  public:
    /// `weight` is only shown: the proxy's configuration decides.
    Front(net::Loop& loop, std::string name, unsigned weight);
    virtual ~Front();
    Front(const Front&) = delete;
    Front& operator=(const Front&) = delete;

    /// Listens on a free port of 127.0.0.1.
    [[nodiscard]] base::Result<void> listen();

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] unsigned weight() const { return weight_; }
    /// 0 before listen().
    [[nodiscard]] std::uint16_t port() const { return port_; }
    /// Requests answered so far.
    [[nodiscard]] std::uint64_t requests() const { return requests_; }

    /// As a front whose process died: resets every connection and refuses new ones for so long.
    void fail_for(std::chrono::milliseconds time);

  private:
    friend class FrontConnection;

    void on_accept(int descriptor, const base::SocketAddress& peer) override;
    void on_accept_exhausted(int error) override;
    void come_back();
    void forget(FrontConnection& connection);

    net::Loop& loop_;
    std::string name_;
    unsigned weight_;
    std::uint16_t port_ = 0;
    std::uint64_t requests_ = 0;
    bool down_ = false;  // in an outage
    std::unique_ptr<net::Listener> listener_;
    base::Timer return_timer_ = base::Timer::calling<&Front::come_back>(this);
    std::unordered_map<FrontConnection*, std::unique_ptr<FrontConnection>> connections_;
};

}  // namespace palier::demo
