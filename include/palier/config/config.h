// What a configuration file says, validated: every reference resolved, every default filled in.
// Thread: immutable once loaded, any thread. Owner: the Snapshot made from it.
#pragma once

#include "palier/base/ip.h"

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

enum class TlsVersion : std::uint8_t { tls_1_2, tls_1_3 };
enum class ClientAuth : std::uint8_t { off, optional, required };

/// [listener.tls]. What the files hold is for the tls module to judge.
struct ListenerTlsConfig {
    std::vector<std::string> certificates;  // directories and PEM files, at least one
    std::string default_name;               // for no or an unknown SNI; "": such handshakes are refused
    TlsVersion min_version = TlsVersion::tls_1_2;
    bool http2 = true;         // alpn has "h2"
    bool http1 = true;         // alpn has "http/1.1"; at least one of the two
    std::string ciphers;       // of TLS 1.2, as OpenSSL writes lists; "": palier's choice
    std::string ciphersuites;  // of TLS 1.3; "": palier's choice
    std::string groups;        // "": OpenSSL's
    std::string ticket_keys;   // a file shared by several machines; "": made at random and rotated
    std::string client_ca;     // a PEM file
    ClientAuth client_auth = ClientAuth::off;

    friend bool operator==(const ListenerTlsConfig&, const ListenerTlsConfig&) = default;
};

struct ListenerConfig {
    std::string name;
    std::vector<base::SocketAddress> addresses;  // at least one
    ProxyProtocol proxy_protocol = ProxyProtocol::off;
    std::optional<ListenerTlsConfig> tls;
    bool http2 = false;  // without TLS: clients may begin with HTTP/2's preface (prior knowledge)
    std::string hsts;    // the value of Strict-Transport-Security; "" for none; only with TLS
};

/// TLS towards a server.
struct BackendTlsConfig {
    bool verify = true;
    std::string ca;           // a PEM file; "": the system's
    std::string server_name;  // for SNI and verification; "": the server's host

    friend bool operator==(const BackendTlsConfig&, const BackendTlsConfig&) = default;
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
    std::optional<BackendTlsConfig> tls;  // its own, or its pool's

    /// host:port as an operator wrote it, IPv6 in brackets.
    [[nodiscard]] std::string address() const;
};

enum class Balance : std::uint8_t { round_robin };
enum class Failback : std::uint8_t { automatic, manual };

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

    friend bool operator==(const OutlierConfig&, const OutlierConfig&) = default;
};

struct PoolConfig {
    std::string name;
    Balance balance = Balance::round_robin;
    bool prefer_local = true;
    Failback failback = Failback::automatic;
    std::uint32_t retries = 2;  // other servers tried
    RetryOn retry_on;
    OutlierConfig outlier;
    std::vector<ServerConfig> servers;  // at least one
};

/// To a pool, as an index into Config::pools.
struct ForwardAction {
    std::size_t pool = 0;
};

struct RedirectAction {
    std::string to;  // "https": the same URL with that scheme; otherwise an absolute URL or path, as given
    std::uint16_t code = 301;
};

struct RespondAction {
    std::uint16_t code = 200;
    std::string body;  // the file's bytes, read when the configuration is loaded
    std::string content_type = "text/plain; charset=utf-8";  // by the file's extension
};

struct RouteConfig {
    std::vector<std::string> hosts;  // lower case, no port; "*.example.com" is a wildcard; empty: any
    std::string path = "/";          // without the "=" of an exact one
    bool exact = false;
    std::vector<std::size_t> listeners;  // indexes into Config::listeners; empty: all
    std::variant<ForwardAction, RedirectAction, RespondAction> action;
};

struct Config {
    std::string node;
    std::uint32_t workers = 0;  // 0: one per usable CPU
    std::string control_socket = "/run/palier/control.sock";
    std::string admin = "127.0.0.1:9901";  // "" for none
    Duration shutdown_grace{30'000};
    LogConfig log;
    TimeoutsConfig timeouts;
    LimitsConfig limits;
    std::vector<base::Cidr> trusted_proxies;
    std::vector<ListenerConfig> listeners;  // at least one
    std::vector<PoolConfig> pools;
    std::vector<RouteConfig> routes;
};

}  // namespace palier::config
