#include "palier/base/ip.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace palier::base {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// A decimal number of the whole of `text`, at most `max`.
Result<unsigned> parse_number(std::string_view text, unsigned max) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > max) {
        return failure("\"" + std::string(text) + "\" is not a number from 0 to " + std::to_string(max));
    }
    return value;
}

}  // namespace

IpAddress::IpAddress(const in_addr& address) {
    std::memcpy(bytes_.data(), &address, 4);
}

IpAddress::IpAddress(const in6_addr& address) {
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&address);
    if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), raw)) {
        std::copy_n(raw + 12, 4, bytes_.begin());
        return;
    }
    v4_ = false;
    std::copy_n(raw, 16, bytes_.begin());
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string zero_terminated(text.substr(0, text.find('\0')));
    in_addr v4{};
    if (zero_terminated.size() != text.size()) return failure("an IP address has no NUL bytes");
    if (inet_pton(AF_INET, zero_terminated.c_str(), &v4) == 1) return IpAddress(v4);
    in6_addr v6{};
    if (inet_pton(AF_INET6, zero_terminated.c_str(), &v6) == 1) return IpAddress(v6);
    return failure("\"" + zero_terminated + "\" is not an IP address");
}

std::size_t IpAddress::format(char* out) const {
    if (v4_) {
        // Written for each request, and inet_ntop prints through snprintf.
        char* at = out;
        for (std::size_t i = 0; i < 4; ++i) {
            if (i > 0) *at++ = '.';
            at = std::to_chars(at, at + 3, bytes_[i]).ptr;
        }
        return static_cast<std::size_t>(at - out);
    }
    inet_ntop(AF_INET6, bytes_.data(), out, INET6_ADDRSTRLEN);
    return std::strlen(out);
}

std::string IpAddress::to_string() const {
    char text[INET6_ADDRSTRLEN];
    const std::size_t length = format(text);
    return {text, length};
}

Result<Cidr> Cidr::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto ip = IpAddress::parse(text.substr(0, slash));
    if (!ip) return failure("\"" + std::string(text) + "\" is not a network such as 10.0.0.0/8");
    const unsigned width = ip->is_v4() ? 32 : 128;
    Cidr cidr;
    cidr.network_ = *ip;
    cidr.prefix_ = width;
    if (slash != std::string_view::npos) {
        const auto prefix = parse_number(text.substr(slash + 1), width);
        if (!prefix) return std::unexpected(prefix.error());
        cidr.prefix_ = *prefix;
    }
    return cidr;
}

bool Cidr::contains(const IpAddress& address) const {
    if (address.is_v4() != network_.is_v4()) return false;
    const unsigned whole = prefix_ / 8;
    if (!std::equal(network_.bytes().begin(), network_.bytes().begin() + whole, address.bytes().begin())) {
        return false;
    }
    const unsigned rest = prefix_ % 8;
    if (rest == 0) return true;
    const unsigned mask = 0xffU << (8 - rest) & 0xffU;
    return (network_.bytes()[whole] & mask) == (address.bytes()[whole] & mask);
}

std::string Cidr::to_string() const {
    return network_.to_string() + "/" + std::to_string(prefix_);
}

SocketAddress::SocketAddress(const sockaddr_storage& storage) {
    if (storage.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
        ip_ = IpAddress(v6.sin6_addr);
        port_ = ntohs(v6.sin6_port);
    } else if (storage.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
        ip_ = IpAddress(v4.sin_addr);
        port_ = ntohs(v4.sin_port);
    }
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    const auto bad = [&] {
        return failure("\"" + std::string(text) +
                       "\" is not an address such as 10.0.0.1:80 or [2001:db8::1]:80");
    };
    if (colon == std::string_view::npos) return bad();
    std::string_view host = text.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return bad();
    }
    const auto ip = IpAddress::parse(host);
    if (!ip) return bad();
    const auto port = parse_number(text.substr(colon + 1), 65535);
    if (!port) return bad();
    return SocketAddress(*ip, static_cast<std::uint16_t>(*port));
}

socklen_t SocketAddress::to_sockaddr(sockaddr_storage& storage) const {
    std::memset(&storage, 0, sizeof storage);
    if (ip_.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port_);
        std::memcpy(&v4.sin_addr, ip_.bytes().data(), 4);
        return sizeof v4;
    }
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port_);
    std::memcpy(&v6.sin6_addr, ip_.bytes().data(), 16);
    return sizeof v6;
}

std::string SocketAddress::to_string() const {
    return (ip_.is_v4() ? ip_.to_string() : "[" + ip_.to_string() + "]") + ":" + std::to_string(port_);
}

}  // namespace palier::base
