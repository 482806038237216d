#include "config/addresses.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::size_t kLongestName = 253;  // RFC 1035 section 2.3.4, without the root's dot
constexpr std::size_t kLongestLabel = 63;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_label(std::string_view label) {
    // Underscores are no part of RFC 952 names, but of names in use.
    return !label.empty() && label.size() <= kLongestLabel && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(label, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
           });
}

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > kLongestName) return false;
    while (true) {
        const std::size_t dot = name.find('.');
        if (!is_label(name.substr(0, dot))) return false;
        if (dot == std::string_view::npos) break;
        name.remove_prefix(dot + 1);
    }
    return true;
}

/// Such names are tried as IPv4 addresses by everything that resolves names.
bool ends_in_number(std::string_view name) {
    const std::string_view last = name.substr(name.rfind('.') + 1);
    return !last.empty() && std::ranges::all_of(last, is_digit);
}

bool has_non_ascii(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return port;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

base::Result<std::string> parse_bracketed(std::string_view text) {
    if (text.ends_with(']')) {
        const auto ip = base::IpAddress::parse(text.substr(1, text.size() - 2));
        if (ip && !ip->is_v4()) return "[" + ip->to_string() + "]";
    }
    return base::failure(fmt::format("\"{}\" is not an IPv6 address in brackets, without a port", text));
}

}  // namespace

base::Result<base::SocketAddress> parse_listener_address(std::string_view text) {
    if (text.starts_with(':') || text.starts_with("*:")) {
        const std::string_view port = text.substr(text.rfind(':') + 1);
        return base::failure(
            fmt::format("\"{0}\" says no IP address; for all of them write \"0.0.0.0:{1}\" and \"[::]:{1}\"",
                        text, port));
    }
    auto address = base::SocketAddress::parse(text);
    if (address) return address;
    if (base::IpAddress::parse(text)) return base::failure(fmt::format("\"{}\" has no port", text));
    return base::failure(
        fmt::format("\"{}\" is not an IP address and a port such as \"0.0.0.0:443\" or \"[::]:443\"", text));
}

base::Result<HostAndPort> parse_server_address(std::string_view text) {
    const auto bad = [&](std::string_view why) { return base::failure(fmt::format("\"{}\" {}", text, why)); };
    constexpr std::string_view kExpected =
        "is not an address and a port such as \"10.0.0.11:8080\", \"[::1]:80\" or \"front.internal:8080\"";
    if (text.find("://") != std::string_view::npos) {
        return bad("is a URL; only the address and port are wanted, such as \"10.0.0.11:8080\"");
    }
    if (base::IpAddress::parse(text) && text.find(':') != std::string_view::npos) {
        return bad("has no port; an IPv6 address with one is written \"[::1]:80\"");
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.ends_with(']')) return bad("has no port");
    const auto port = parse_port(text.substr(colon + 1));
    if (!port || *port == 0) return bad("has no port from 1 to 65535");
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        const auto ip = base::IpAddress::parse(host);
        if (!ip || host.find(':') == std::string_view::npos) return bad(kExpected);
        return HostAndPort{ip->to_string(), *port};
    }
    if (has_non_ascii(host)) return bad("must be written in ASCII (punycode, \"xn--…\")");
    if (const auto ip = base::IpAddress::parse(host);
        ip && ip->is_v4() && host.find(':') == std::string_view::npos) {
        return HostAndPort{ip->to_string(), *port};
    }
    if (!is_host_name(host) || ends_in_number(host)) return bad(kExpected);
    return HostAndPort{std::string(host), *port};
}

base::Result<std::string> parse_certificate_name(std::string_view text) {
    if (const auto ip = base::IpAddress::parse(text)) return ip->to_string();
    if (has_non_ascii(text)) {
        return base::failure(
            fmt::format("\"{}\" must be written as it travels, in punycode (\"xn--…\")", text));
    }
    if (!is_host_name(text)) {
        return base::failure(
            fmt::format("\"{}\" is not a host name such as \"www.example.com\", without a port", text));
    }
    return lower(text);
}

base::Result<std::string> parse_host_pattern(std::string_view text) {
    const auto bad = [&](std::string_view why) { return base::failure(fmt::format("\"{}\" {}", text, why)); };
    if (text == "*") return bad("is not needed: a route without \"host\" serves every host");
    if (text.find("://") != std::string_view::npos || text.find('/') != std::string_view::npos) {
        return bad("is not a host name alone; paths go to \"path\"");
    }
    if (text.starts_with('[')) return parse_bracketed(text);
    if (text.find(':') != std::string_view::npos) return bad("must be a host name without a port");
    if (has_non_ascii(text)) return bad("must be written as it travels, in punycode (\"xn--…\")");
    const std::string_view name = text.starts_with("*.") ? text.substr(2) : text;
    if (name.find('*') != std::string_view::npos) {
        return bad("may have \"*\" as its whole first label only, as in \"*.example.com\"");
    }
    if (!is_host_name(name)) return bad("is not a host name");
    return lower(text);
}

}  // namespace palier::config
