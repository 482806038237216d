// IP addresses, networks and socket addresses as values.
// Thread: immutable values, any thread.
#pragma once

#include "palier/base/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>

namespace palier::base {

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses (::ffff:a.b.c.d) become IPv4.
class IpAddress {
  public:
    IpAddress() = default;  // 0.0.0.0
    explicit IpAddress(const in_addr& address);
    explicit IpAddress(const in6_addr& address);

    /// "192.0.2.1", "2001:db8::1" (no brackets).
    [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

    [[nodiscard]] bool is_v4() const { return v4_; }
    /// Network order; 4 bytes matter for IPv4, 16 for IPv6.
    [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
    [[nodiscard]] std::string to_string() const;
    /// Writes the text at `out`, which has room for 46 characters; returns its length.
    std::size_t format(char* out) const;

    friend bool operator==(const IpAddress&, const IpAddress&) = default;

  private:
    std::array<std::uint8_t, 16> bytes_{};
    bool v4_ = true;
};

/// A network such as 10.0.0.0/8; a bare address is a network of one.
class Cidr {
  public:
    [[nodiscard]] static Result<Cidr> parse(std::string_view text);
    [[nodiscard]] bool contains(const IpAddress& address) const;
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const Cidr&, const Cidr&) = default;

  private:
    IpAddress network_;
    unsigned prefix_ = 0;  // bits
};

/// An IP address and port.
class SocketAddress {
  public:
    SocketAddress() = default;
    SocketAddress(const IpAddress& ip, std::uint16_t port) : ip_(ip), port_(port) {}
    explicit SocketAddress(const sockaddr_storage& storage);

    /// "192.0.2.1:80", "[2001:db8::1]:80". The port is required.
    [[nodiscard]] static Result<SocketAddress> parse(std::string_view text);

    [[nodiscard]] const IpAddress& ip() const { return ip_; }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    /// Fills `storage` and returns the length that bind and connect want.
    socklen_t to_sockaddr(sockaddr_storage& storage) const;
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const SocketAddress&, const SocketAddress&) = default;

  private:
    IpAddress ip_;
    std::uint16_t port_ = 0;
};

}  // namespace palier::base
