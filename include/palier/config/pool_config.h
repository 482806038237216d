// What a configuration file says of pools and their servers; part of config.h.
// Thread: immutable once loaded, any thread.
#pragma once

#include "palier/base/ip.h"
#include "palier/config/tls_config.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace palier::config {

using Duration = std::chrono::milliseconds;

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

}  // namespace palier::config
