#include "http/authority.h"

#include "http/ascii.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include <arpa/inet.h>

namespace palier::http {
namespace {

[[nodiscard]] bool is_port(std::string_view text) {
    if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) return false;
    unsigned value = 0;
    for (const char c : text)
        value = value * 10 + static_cast<unsigned>(c - '0');
    return value <= 65535;
}

/// `text` without its brackets.
[[nodiscard]] bool is_ipv6(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size()) return false;
    std::copy(text.begin(), text.end(), terminated.begin());
    in6_addr address{};
    return inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

}  // namespace

std::optional<std::string_view> host_of(std::string_view authority) {
    std::size_t end = 0;
    if (authority.starts_with('[')) {
        const std::size_t bracket = authority.find(']');
        if (bracket == std::string_view::npos || !is_ipv6(authority.substr(1, bracket - 1)))
            return std::nullopt;
        end = bracket + 1;
    } else {
        while (end < authority.size() && is(kHost, authority[end]))
            ++end;
        if (end == 0) return std::nullopt;
    }
    if (end == authority.size()) return authority;
    if (authority[end] != ':' || !is_port(authority.substr(end + 1))) return std::nullopt;
    return authority.substr(0, end);
}

}  // namespace palier::http
