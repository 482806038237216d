#include "palier/proxy/client_handshake.h"

#include "palier/base/log.h"
#include "palier/proxy/h1_connection.h"
#include "palier/proxy/h2_connection.h"
#include "palier/proxy/proxy_protocol.h"
#include "palier/proxy/worker_core.h"

#include <algorithm>

namespace palier::proxy {
namespace {

constexpr std::size_t kRead = 16 * 1024;

}  // namespace

ClientHandshake::ClientHandshake(WorkerCore& core, std::shared_ptr<const ListenerFacts> listener,
                                 const base::SocketAddress& peer)
    : ClientConnection(core, std::move(listener), peer),
      in_(&core.buffers),
      proxy_header_(listener_->proxy_protocol != config::ProxyProtocol::off) {}

void ClientHandshake::on_readable() {
    if (proxy_header_) {
        read_proxy_header();
    } else if (!secured_) {
        begin_tls();
    } else {
        shake_hands();
    }
}

void ClientHandshake::read_proxy_header() {
    const net::IoResult got = transport_.read(in_.reserve(kRead), kRead);
    if (got.status == net::IoStatus::would_block) return;
    if (got.status != net::IoStatus::ok) {
        close();
        return;
    }
    in_.commit(got.size);
    const bool required = listener_->proxy_protocol == config::ProxyProtocol::required;
    const auto& trusted = core_.snapshot->config->trusted_proxies;
    const bool believed =
        std::ranges::any_of(trusted, [&](const auto& net) { return net.contains(peer_.ip()); });
    const ProxyHeader header =
        believed ? parse_proxy_header(in_.view()) : ProxyHeader{.state = ProxyHeader::State::absent};
    switch (header.state) {
        case ProxyHeader::State::incomplete:
            if (transport_.readable()) go_on_later();
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
    proxy_header_ = false;
    if (!listener_->tls) {
        begin_http();
    } else if (!in_.empty() || transport_.readable()) {
        begin_tls();
    }
}

void ClientHandshake::begin_tls() {
    secured_ = true;
    if (!transport_.start_server(*listener_->tls, core_.tls_workspace, in_.view())) {
        close();
        return;
    }
    in_.release();
    shake_hands();
}

void ClientHandshake::shake_hands() {
    switch (transport_.handshake()) {
        case tls::Handshake::again:
            return;
        case tls::Handshake::done:
            if (std::string subject = transport_.client_subject(); !subject.empty())
                subject_ = std::make_unique<const std::string>(std::move(subject));
            begin_http();
            return;
        case tls::Handshake::plain_http:
            H1Connection::refuse_plain(*this);
            return;
        case tls::Handshake::failed:
            base::log_debug("listener {}: TLS handshake with {} failed: {}", listener_->name,
                            peer_.to_string(), transport_.why());
            close();
            return;
    }
}

void ClientHandshake::begin_http() {
    if (transport_.encrypted() && transport_.speaks_http2()) {
        H2Connection::take_over(*this, {});
    } else {
        H1Connection::take_over(*this, in_.view());
    }
}

}  // namespace palier::proxy
