// AdminListener: the small HTTP/1.1 server on which palier tells of itself (the key `admin`).
// It serves GET and HEAD of its pages, in plain, and trusts its clients with nothing: each state of a connection has a
// deadline, a head has a limit, and beyond kMostConnections a newcomer displaces whoever has had an answer and did
// nothing for longest, so that those who ask again and again hardly keep a balancer from its answer. Only where none had
// one yet does it displace whoever was silent for longest.
// Thread: control only. Owner: the supervisor. Ends: the destructor, which closes every connection; not from within a
// turn of the loop.
#pragma once

#include "palier/admin/page.h"
#include "palier/base/clock.h"
#include "palier/base/result.h"
#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/http/h1_parser.h"
#include "palier/net/listener.h"
#include "palier/net/loop.h"

#include <cstddef>
#include <list>
#include <memory>
#include <string_view>
#include <vector>

namespace palier::admin {

class AdminConnection;

class AdminListener : private net::Listener::Acceptor {
  public:
    static constexpr std::size_t kMostConnections = 64;

    /// Of `timeouts`, client_header, client_idle and client_write hold here too.
    AdminListener(net::Loop& loop, const config::TimeoutsConfig& timeouts, std::vector<Page> pages);
    virtual ~AdminListener();
    AdminListener(const AdminListener&) = delete;
    AdminListener& operator=(const AdminListener&) = delete;

    void set_timeouts(const config::TimeoutsConfig& timeouts) { timeouts_ = timeouts; }

    /// Listens on `address`, which is Config::admin and not "". The error names the key.
    [[nodiscard]] base::Result<void> listen(std::string_view address);
    /// Takes a socket that listens already, another palier's.
    void adopt(int descriptor);
    /// Another palier has the socket: closes it, and tells clients to go there with their next answer.
    void hand_over();

    /// The listening socket, for another palier; -1 before it listens.
    [[nodiscard]] int descriptor() const { return descriptor_; }

    /// Where it listens, once it does.
    [[nodiscard]] const base::SocketAddress& address() const { return address_; }
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

  private:
    friend class AdminConnection;
    /// Whoever did nothing for longest first.
    using Connections = std::list<std::unique_ptr<AdminConnection>>;

    void on_accept(int descriptor, const base::SocketAddress& peer) override;
    void on_accept_exhausted(int error) override;
    void resume();
    /// `connection` has something to do.
    void active(AdminConnection& connection);
    void forget(AdminConnection& connection);
    [[nodiscard]] AdminConnection& least_needed();

    net::Loop& loop_;
    config::TimeoutsConfig timeouts_;
    std::vector<Page> pages_;
    http::RequestParser parser_;  // of all connections
    base::WallClock clock_;
    base::SocketAddress address_;
    int descriptor_ = -1;  // the listener's
    std::unique_ptr<net::Listener> listener_;
    bool handed_over_ = false;
    base::Timer resume_timer_ = base::Timer::calling<&AdminListener::resume>(this);
    Connections connections_;
};

}  // namespace palier::admin
