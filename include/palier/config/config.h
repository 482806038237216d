// What a configuration file says, validated: every reference resolved, every default filled in.
// Thread: immutable once loaded, any thread. Owner: the Snapshot made from it.
#pragma once

#include "palier/base/ip.h"
#include "palier/config/tls_config.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace palier::config {

using Duration = std::chrono::milliseconds;

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

struct LimitsConfig {
    std::uint64_t header_size = 32 * 1024;  // bytes of a request or response head
    std::uint32_t headers = 128;            // fields
    std::uint64_t body = 0;                 // bytes of a request body; 0: no limit
    std::uint32_t connections = 0;          // clients; 0: what the file-descriptor limit allows
    std::uint32_t streams = 100;            // of one HTTP/2 connection, at a time

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

/// HTTP statuses, both ends included; in the file "204" or "200-399".
struct StatusRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    friend bool operator==(const StatusRange&, const StatusRange&) = default;
};

[[nodiscard]] inline bool holds(const std::vector<StatusRange>& ranges, std::uint16_t status) {
    for (const StatusRange& range : ranges) {
        if (status >= range.first && status <= range.last) return true;
    }
    return false;
}

enum class ProbeType : std::uint8_t { http, tcp, tls, mysql };
/// What a MySQL server's read_only must be.
enum class ReadOnly : std::uint8_t { any, off, on };

/// A field of a probe's request.
struct ProbeField {
    std::string name;
    std::string value;

    friend bool operator==(const ProbeField&, const ProbeField&) = default;
};

/// [pool.health]: active probes. The file's type = "off" is a pool without them.
struct HealthConfig {
    ProbeType type = ProbeType::http;

    // http
    std::string method = "GET";
    std::string path = "/health";
    std::string host;                             // "": the server's address as written
    std::vector<ProbeField> headers;              // in the file a table: headers = { X-Probe = "1" }
    std::vector<StatusRange> expect{{200, 399}};  // at least one
    std::string expect_body;                      // text within the body's first 64 KiB; "": any body
    bool keep_alive = false;                      // one connection for many probes

    // mysql
    std::string user;                    // without a password; "": the greeting alone is judged
    ReadOnly read_only = ReadOnly::any;  // only with a user

    Duration interval{2'000};                // from the start of one probe to the start of the next
    Duration fast_interval{1'000};           // while a change is being confirmed; default: half of interval
    Duration down_interval{2'000};           // while the server stays down; default: interval
    Duration timeout{1'000};                 // of a whole probe, from connect to verdict; at most interval
    std::uint32_t rise = 2;                  // successes in a row after which a server that was down is up
    std::uint32_t fall = 3;                  // failures in a row after which one that was up is down
    std::optional<base::IpAddress> address;  // probed instead of the server's
    std::uint16_t port = 0;                  // probed instead of the server's; 0: the server's
    bool start_up = false;      // start = "up": used before the first result; start = "down": not
    bool probe_clears = false;  // a success also ends an ejection by live traffic

    friend bool operator==(const HealthConfig&, const HealthConfig&) = default;
};

enum class Role : std::uint8_t { active, passive };

struct ServerConfig {
    std::string name;
    std::string host;  // an IP address without brackets, or a host name
    std::uint16_t port = 0;
    std::uint32_t weight = 100;  // 0 to 65,535; 0: never
    Role role = Role::active;
    std::string node;
    bool local = false;                 // its node is this machine's node, and that is not empty
    std::uint32_t max_connections = 0;  // exchanges at a time over all workers; 0: no limit
    Duration slow_start{0};
    bool slow_start_at_start = false;     // also when palier starts, not only when the server returns
    std::optional<BackendTlsConfig> tls;  // its own, or its pool's
    /// How a probe speaks TLS; none: in plain. Its own tls, or for a pool with type = "tls" the pool's keys.
    std::optional<BackendTlsConfig> probe_tls;
    // [pool.server.health]: in place of the pool's address and port for probes.
    std::optional<base::IpAddress> probe_address;
    std::uint16_t probe_port = 0;

    /// host:port as an operator wrote it, IPv6 in brackets.
    [[nodiscard]] std::string address() const;

    friend bool operator==(const ServerConfig&, const ServerConfig&) = default;
};

enum class Balance : std::uint8_t { round_robin };
enum class Failback : std::uint8_t { automatic, manual };
/// What a pool without a usable server does: answer 503, or try all servers regardless of their health.
enum class WhenNone : std::uint8_t { refuse, try_all };
/// What becomes of the exchanges in flight with a server that goes down.
enum class OnDown : std::uint8_t { finish, close };

/// What a retry may follow. Which of them is safe for a request is the exchange's to decide.
struct RetryOn {
    bool connect = true;
    bool reset = true;
    bool status_502 = false;
    bool status_503 = false;
    bool status_504 = false;
    bool timeout = false;

    friend bool operator==(const RetryOn&, const RetryOn&) = default;
};

struct OutlierConfig {
    std::uint32_t failures = 5;      // consecutive; 0: never eject
    Duration backoff{5'000};         // doubles with each ejection in a row, up to 10 times
    std::uint32_t max_ejected = 50;  // per cent of the pool's servers
    std::uint32_t error_rate = 0;    // per cent of the requests in `window`; 0: never eject for it
    Duration window{10'000};
    std::uint32_t min_requests = 20;                // in `window`, for error_rate to mean something
    std::vector<StatusRange> statuses{{500, 599}};  // responses that count as failures; may be empty

    friend bool operator==(const OutlierConfig&, const OutlierConfig&) = default;
};

/// [pool.maintenance]: what clients get while an operator has the pool in maintenance.
struct MaintenanceConfig {
    std::string page;  // the file's bytes, read when the configuration is loaded; "": palier's own page
    std::string content_type;      // by the file's extension
    Duration retry_after{60'000};  // for Retry-After, rounded up to seconds

    friend bool operator==(const MaintenanceConfig&, const MaintenanceConfig&) = default;
};

struct PoolConfig {
    std::string name;
    Balance balance = Balance::round_robin;
    bool prefer_local = true;
    Failback failback = Failback::automatic;
    std::uint32_t retries = 2;  // other servers tried
    RetryOn retry_on;
    std::uint32_t min_usable = 1;  // a tier with fewer usable servers is joined by the next; at least 1
    WhenNone when_none = WhenNone::refuse;
    OnDown on_down = OnDown::finish;
    std::optional<HealthConfig> health;
    OutlierConfig outlier;
    MaintenanceConfig maintenance;
    std::vector<ServerConfig> servers;  // at least one

    friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
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
