#include "palier/admin/admin_listener.h"

#include "admin/admin_connection.h"
#include "palier/base/log.h"

#include <algorithm>
#include <cstring>

namespace palier::admin {
namespace {

constexpr http::HeadLimits kHeadLimits{.size = 8 * 1024, .fields = 64};
constexpr std::uint64_t kResumeMs = 250;  // between two attempts to accept again

}  // namespace

AdminListener::AdminListener(net::Loop& loop, const config::TimeoutsConfig& timeouts, std::vector<Page> pages)
    : loop_(loop), timeouts_(timeouts), pages_(std::move(pages)), parser_(kHeadLimits) {}

AdminListener::~AdminListener() = default;

base::Result<void> AdminListener::listen(std::string_view address) {
    const auto parsed = base::SocketAddress::parse(address);
    if (!parsed) return base::failure("admin: " + parsed.error().message);
    const auto descriptor = net::listen_on(*parsed, false);
    if (!descriptor) {
        base::Error error = descriptor.error();
        error.message = "admin: " + error.message;
        return std::unexpected(std::move(error));
    }
    adopt(*descriptor);
    return {};
}

void AdminListener::adopt(int descriptor) {
    descriptor_ = descriptor;
    address_ = net::bound_address(descriptor);
    Acceptor& acceptor = *this;
    listener_ = std::make_unique<net::Listener>(loop_, descriptor, acceptor);
    base::log_info("admin on {}", address_.to_string());
}

void AdminListener::hand_over() {
    handed_over_ = true;
    descriptor_ = -1;
    if (listener_) listener_->close();
}

void AdminListener::on_accept(int descriptor, const base::SocketAddress& /*peer*/) {
    if (connections_.size() >= kMostConnections) forget(least_needed());
    const auto place =
        connections_.insert(connections_.end(), std::make_unique<AdminConnection>(*this, descriptor));
    if (!(*place)->start(place)) {
        connections_.erase(place);
        return;
    }
    // Its request may be here already: it is answered before the next newcomer of this turn could displace it.
    (*place)->look();
}

AdminConnection& AdminListener::least_needed() {
    const auto served =
        std::ranges::find_if(connections_, [](const auto& connection) { return connection->served(); });
    return served != connections_.end() ? **served : *connections_.front();
}

void AdminListener::on_accept_exhausted(int error) {
    base::log_warning("admin: accepting is paused: {}", std::strerror(error));
    loop_.timers().arm(resume_timer_, loop_.now_ms() + kResumeMs);
}

void AdminListener::resume() {
    listener_->resume();
}

void AdminListener::active(AdminConnection& connection) {
    connections_.splice(connections_.end(), connections_, connection.place());
}

void AdminListener::forget(AdminConnection& connection) {
    const auto place = connection.place();
    connection.close();
    loop_.defer_delete(std::move(*place));
    connections_.erase(place);
}

}  // namespace palier::admin
