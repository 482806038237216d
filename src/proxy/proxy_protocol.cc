#include "palier/proxy/proxy_protocol.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <netinet/in.h>

namespace palier::proxy {
namespace {

using State = ProxyHeader::State;

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kMaxLine = 107;

ProxyHeader malformed() {
    return {.state = State::malformed};
}

/// The next word of `line`, which must be followed by a space or the end.
std::string_view take_word(std::string_view& line) {
    const std::size_t space = line.find(' ');
    const std::string_view word = line.substr(0, space);
    line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
    return word;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool padded = text.size() > 1 && text.front() == '0';
    if (error != std::errc{} || end != text.data() + text.size() || padded) return std::nullopt;
    return port;
}

ProxyHeader parse_text(std::string_view bytes) {
    const std::size_t line_end = bytes.substr(0, kMaxLine).find("\r\n");
    if (line_end == std::string_view::npos) {
        return bytes.size() >= kMaxLine ? malformed() : ProxyHeader{};
    }
    ProxyHeader header{.state = State::complete, .consumed = line_end + 2};
    std::string_view line = bytes.substr(kSignature1.size(), line_end - kSignature1.size());
    const std::string_view family = take_word(line);
    if (family == "UNKNOWN") return header;
    if (family != "TCP4" && family != "TCP6") return malformed();
    const std::string_view source_text = take_word(line);
    const std::string_view destination_text = take_word(line);
    const auto source = base::IpAddress::parse(source_text);
    const auto destination = base::IpAddress::parse(destination_text);
    const auto source_port = parse_port(take_word(line));
    const auto destination_port = parse_port(line);
    if (!source || !destination || !source_port || !destination_port) return malformed();
    // By the text, for an IPv4-mapped IPv6 address is an IPv4 address to us.
    const bool v6 = family == "TCP6";
    if (source_text.contains(':') != v6 || destination_text.contains(':') != v6) return malformed();
    header.source = base::SocketAddress(*source, *source_port);
    return header;
}

std::uint16_t big_endian(const char* at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(at[0]) << 8 |
                                      static_cast<unsigned char>(at[1]));
}

ProxyHeader parse_binary(std::string_view bytes) {
    constexpr std::size_t kFixed = 16;
    if (bytes.size() < kFixed) return {};
    const auto version_command = static_cast<unsigned char>(bytes[12]);
    const auto family = static_cast<unsigned char>(bytes[13]);
    const std::size_t length = big_endian(bytes.data() + 14);
    const unsigned command = version_command & 0xf;
    if (version_command >> 4 != 2 || command > 1 || kFixed + length > kMaxProxyHeader) return malformed();
    if (bytes.size() < kFixed + length) return {};
    ProxyHeader header{.state = State::complete, .consumed = kFixed + length};
    if (command == 0) return header;  // LOCAL: the balancer itself, such as its health check
    const char* address = bytes.data() + kFixed;
    if (family == 0x11) {
        if (length < 12) return malformed();
        in_addr v4{};
        std::memcpy(&v4, address, sizeof v4);
        header.source = base::SocketAddress(base::IpAddress(v4), big_endian(address + 8));
    } else if (family == 0x21) {
        if (length < 36) return malformed();
        in6_addr v6{};
        std::memcpy(&v6, address, sizeof v6);
        header.source = base::SocketAddress(base::IpAddress(v6), big_endian(address + 32));
    }
    return header;
}

bool may_begin(std::string_view bytes, std::string_view signature) {
    const std::size_t size = std::min(bytes.size(), signature.size());
    return bytes.substr(0, size) == signature.substr(0, size);
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
    if (bytes.starts_with(kSignature1)) return parse_text(bytes);
    if (bytes.starts_with(kSignature2)) return parse_binary(bytes);
    const bool undecided = may_begin(bytes, kSignature1) || may_begin(bytes, kSignature2);
    return {.state = undecided ? State::incomplete : State::absent};
}

}  // namespace palier::proxy
