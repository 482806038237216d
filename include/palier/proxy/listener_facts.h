// ListenerFacts: what a connection must know of the listener it came through, as that was when it came. Only the
// listener's place in the configuration follows later ones, and whether it is still there.
// Thread: worker only. Owner: shared by the worker's gate and its connections.
#pragma once

#include "palier/config/config.h"
#include "palier/tls/server_context.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace palier::proxy {

struct ListenerFacts {
    std::size_t index = 0;  // in Config::listeners at present; kNoListener: it has left
    bool leaving = false;   // its clients are told to go
    std::string name{};
    std::string port{};         // as text, for X-Forwarded-Port
    std::string_view scheme{};  // "http" or "https"
    config::ProxyProtocol proxy_protocol = config::ProxyProtocol::off;
    std::shared_ptr<const tls::ServerContext> tls{};  // null: plain
    bool http2 = false;                               // plain, and may begin with HTTP/2's preface
    std::string hsts{};  // the line of Strict-Transport-Security for every response; "" for none

    friend bool operator==(const ListenerFacts&, const ListenerFacts&) = default;
};

}  // namespace palier::proxy
