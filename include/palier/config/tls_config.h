// How listeners and servers speak TLS, as a configuration file says it, validated.
// Thread: immutable once loaded, any thread. Owner: the Config.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace palier::config {

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

/// TLS towards a server.
struct BackendTlsConfig {
    bool verify = true;
    std::string ca;           // a PEM file; "": the system's
    std::string server_name;  // for SNI and verification; "": the server's host

    friend bool operator==(const BackendTlsConfig&, const BackendTlsConfig&) = default;
};

}  // namespace palier::config
