// What a configuration file says, validated: every reference resolved, every default filled in.
// Thread: immutable once loaded, any thread. Owner: the Snapshot made from it.
#pragma once

#include "palier/base/ip.h"
#include "palier/config/pool_config.h"
#include "palier/config/tls_config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace palier::config {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { json, combined };

struct LogConfig {
    LogLevel level = LogLevel::info;
    std::string access = "stdout";  // "stdout", "stderr", "off" or a file's path
    LogFormat format = LogFormat::json;

    friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

struct TimeoutsConfig {
    Duration client_header{10'000};  // from the first byte (or the accept) to the end of the head
    Duration client_body{30'000};    // between two reads of a body
    Duration client_idle{75'000};    // keep-alive
    Duration client_write{30'000};   // without progress
    Duration handshake{10'000};
    Duration connect{3'000};
    Duration server{60'000};       // to the response head, and between two reads of its body
    Duration server_idle{60'000};  // pooled backend connections
    Duration tunnel{3'600'000};    // without traffic

    friend bool operator==(const TimeoutsConfig&, const TimeoutsConfig&) = default;
};

/// Memory that palier may have.
struct MemoryLimit {
    enum class Kind : std::uint8_t {
        automatic,  // what the control groups of the process grant
        size,
        off,
    } kind = Kind::automatic;
    std::uint64_t bytes = 0;  // of a size

    friend bool operator==(const MemoryLimit&, const MemoryLimit&) = default;
};

struct LimitsConfig {
    std::uint64_t header_size = 32 * 1024;  // bytes of a request or response head
    std::uint32_t headers = 128;            // fields
    std::uint64_t body = 0;                 // bytes of a request body; 0: no limit
    std::uint32_t connections = 0;          // clients; 0: what the file-descriptor limit allows
    std::uint32_t streams = 100;            // of one HTTP/2 connection, at a time
    MemoryLimit memory;

    friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

enum class ProxyProtocol : std::uint8_t { off, optional, required };

struct ListenerConfig {
    std::string name;
    std::vector<base::SocketAddress> addresses;  // at least one
    ProxyProtocol proxy_protocol = ProxyProtocol::off;
    std::optional<ListenerTlsConfig> tls;
    bool http2 = false;  // without TLS: clients may begin with HTTP/2's preface (prior knowledge)
    std::string hsts;    // the value of Strict-Transport-Security; "" for none; only with TLS

    friend bool operator==(const ListenerConfig&, const ListenerConfig&) = default;
};

/// To a pool, as an index into Config::pools.
struct ForwardAction {
    std::size_t pool = 0;

    friend bool operator==(const ForwardAction&, const ForwardAction&) = default;
};

struct RedirectAction {
    std::string to;  // "https": the same URL with that scheme; otherwise an absolute URL or path, as given
    std::uint16_t code = 301;

    friend bool operator==(const RedirectAction&, const RedirectAction&) = default;
};

struct RespondAction {
    std::uint16_t code = 200;
    std::string body;  // the file's bytes, read when the configuration is loaded
    std::string content_type = "text/plain; charset=utf-8";  // by the file's extension

    friend bool operator==(const RespondAction&, const RespondAction&) = default;
};

struct RouteConfig {
    std::vector<std::string> hosts;  // lower case, no port; "*.example.com" is a wildcard; empty: any
    std::string path = "/";          // without the "=" of an exact one
    bool exact = false;
    std::vector<std::size_t> listeners;  // indexes into Config::listeners; empty: all
    std::variant<ForwardAction, RedirectAction, RespondAction> action;

    friend bool operator==(const RouteConfig&, const RouteConfig&) = default;
};

struct Config {
    std::string node;
    std::uint32_t workers = 0;                                // 0: one per usable CPU
    std::string control_socket = "/run/palier/control.sock";  // "" for none
    std::optional<std::uint32_t> control_owner;               // a user's number; none: whoever runs palier
    std::optional<std::uint32_t> control_group;
    std::string state_file = "/var/lib/palier/state.json";  // "" keeps nothing
    std::string admin = "127.0.0.1:9901";                   // "" for none
    /// ready_when = ["pool:web"]: indexes of the pools that need a usable server for /ready.
    std::vector<std::size_t> ready_when;
    Duration shutdown_grace{30'000};
    Duration tunnel_grace{300'000};  // how long tunnels stay with a palier that was upgraded away
    LogConfig log;
    TimeoutsConfig timeouts;
    LimitsConfig limits;
    std::vector<base::Cidr> trusted_proxies;
    std::vector<ListenerConfig> listeners;  // at least one
    std::vector<PoolConfig> pools;
    std::vector<RouteConfig> routes;

    friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace palier::config
