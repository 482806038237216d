#include "palier/demo/front.h"

#include "demo/front_connection.h"

namespace palier::demo {
namespace {

constexpr std::uint64_t kTryAgainMs = 500;

}  // namespace

Front::Front(net::Loop& loop, std::string name, unsigned weight)
    : loop_(loop), name_(std::move(name)), weight_(weight) {}

Front::~Front() = default;

base::Result<void> Front::listen() {
    const auto loopback = base::IpAddress::parse("127.0.0.1");
    if (!loopback) return std::unexpected(loopback.error());
    const auto descriptor = net::listen_on({*loopback, port_}, false);
    if (!descriptor) return std::unexpected(descriptor.error());
    port_ = net::bound_address(*descriptor).port();
    Acceptor& acceptor = *this;
    listener_ = std::make_unique<net::Listener>(loop_, *descriptor, acceptor);
    down_ = false;
    return {};
}

void Front::fail_for(std::chrono::milliseconds time) {
    down_ = true;
    if (listener_ != nullptr) listener_->close();  // but kept: this turn may still have an event for it
    for (auto& [address, connection] : connections_) {
        connection->reset();
        loop_.defer_delete(std::move(connection));
    }
    connections_.clear();
    loop_.timers().arm(return_timer_, loop_.now_ms() + static_cast<std::uint64_t>(time.count()));
}

void Front::come_back() {
    // Somebody else may have taken the port meanwhile, as the local end of a connection.
    if (down_ && !listen()) {
        loop_.timers().arm(return_timer_, loop_.now_ms() + kTryAgainMs);
        return;
    }
    listener_->resume();
}

void Front::on_accept(int descriptor, const base::SocketAddress& peer) {
    auto connection = std::make_unique<FrontConnection>(*this, peer);
    if (!connection->start(descriptor)) return;
    FrontConnection* const key = connection.get();
    connections_.emplace(key, std::move(connection));
}

void Front::on_accept_exhausted(int /*error*/) {
    loop_.timers().arm(return_timer_, loop_.now_ms() + kTryAgainMs);
}

void Front::forget(FrontConnection& connection) {
    const auto place = connections_.find(&connection);
    if (place == connections_.end()) return;
    connection.close();
    loop_.defer_delete(std::move(place->second));
    connections_.erase(place);
}

}  // namespace palier::demo
