#include "palier/proxy/proxy_protocol.h"

#include "catch.h"

#include <optional>
#include <string>
#include <vector>

using palier::base::IpAddress;
using palier::base::SocketAddress;
using palier::proxy::kMaxProxyHeader;
using palier::proxy::parse_proxy_header;
using palier::proxy::ProxyHeader;
using State = palier::proxy::ProxyHeader::State;

namespace {

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

SocketAddress address(const char* ip, std::uint16_t port) {
    return {*IpAddress::parse(ip), port};
}

/// A version 2 header: version and command, family, and what follows the length.
std::string binary(unsigned char version_command, unsigned char family, const std::string& rest) {
    std::string header(kSignature);
    header += static_cast<char>(version_command);
    header += static_cast<char>(family);
    header += static_cast<char>(rest.size() >> 8);
    header += static_cast<char>(rest.size() & 0xff);
    return header + rest;
}

/// 192.0.2.1:4660 to 192.0.2.2:80
const std::string kV4("\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x00\x50", 12);
/// [2001:db8::1]:4660 to [2001:db8::2]:80
const std::string kV6(
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
    "\x12\x34\x00\x50",
    36);

struct Good {
    std::string bytes;
    std::optional<SocketAddress> source;
};

std::vector<Good> good_headers() {
    const std::string tlv("\x04\x00\x03xyz", 6);
    return {
        {"PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n", address("192.0.2.1", 4660)},
        {"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", address("255.255.255.255", 65535)},
        {"PROXY TCP6 2001:db8::1 2001:db8::2 4660 80\r\n", address("2001:db8::1", 4660)},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
         "65535\r\n",
         address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)},
        {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 4660 80\r\n", address("192.0.2.1", 4660)},
        {"PROXY UNKNOWN\r\n", {}},
        {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", {}},
        {binary(0x21, 0x11, kV4), address("192.0.2.1", 4660)},
        {binary(0x21, 0x11, kV4 + tlv), address("192.0.2.1", 4660)},
        {binary(0x21, 0x21, kV6), address("2001:db8::1", 4660)},
        {binary(0x21, 0x21, kV6 + tlv + tlv), address("2001:db8::1", 4660)},
        {binary(0x20, 0x00, ""), {}},                     // LOCAL
        {binary(0x20, 0x11, kV4), {}},                    // LOCAL, whatever it carries
        {binary(0x21, 0x00, ""), {}},                     // PROXY for an unspecified family
        {binary(0x21, 0x12, kV4), {}},                    // a datagram
        {binary(0x21, 0x31, std::string(216, 'u')), {}},  // a Unix socket
        {binary(0x21, 0x11, kV4 + std::string(kMaxProxyHeader - 16 - 12, 't')), address("192.0.2.1", 4660)},
    };
}

}  // namespace

TEST_CASE("a header gives the client's address, and leaves the rest to its parser") {
    for (const Good& good : good_headers()) {
        INFO(good.bytes);
        for (const std::string_view rest : {std::string_view{}, kRequest}) {
            const ProxyHeader header = parse_proxy_header(good.bytes + std::string(rest));
            CHECK(header.state == State::complete);
            CHECK(header.consumed == good.bytes.size());
            CHECK(header.source == good.source);
        }
    }
}

TEST_CASE("a header that is cut anywhere is incomplete, and nothing else") {
    for (const Good& good : good_headers()) {
        for (std::size_t size = 0; size < good.bytes.size(); ++size) {
            const ProxyHeader header = parse_proxy_header(std::string_view(good.bytes).substr(0, size));
            if (header.state != State::incomplete) FAIL(good.bytes << " cut at " << size);
            REQUIRE(header.consumed == 0);
            REQUIRE_FALSE(header.source.has_value());
        }
    }
}

TEST_CASE("what begins otherwise has no header, which is known at the first byte that differs") {
    CHECK(parse_proxy_header("").state == State::incomplete);
    for (const std::string_view text :
         {kRequest, std::string_view("G"), std::string_view("PUT / HTTP/1.1\r\n"),
          std::string_view("PROXYING / HTTP/1.1\r\n"), std::string_view("proxy TCP4 "),
          std::string_view(" PROXY TCP4 "), std::string_view("\r\nGET / HTTP/1.1\r\n"),
          std::string_view("\r\n\r\nGET / HTTP/1.1\r\n"), std::string_view("\x16\x03\x01")}) {
        INFO(text);
        CHECK(parse_proxy_header(text).state == State::absent);
    }
    std::string almost = binary(0x21, 0x11, kV4);
    for (std::size_t at = 0; at < kSignature.size(); ++at) {
        std::string changed = almost;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        CHECK(parse_proxy_header(changed).state == State::absent);
        CHECK(parse_proxy_header(std::string_view(changed).substr(0, at + 1)).state == State::absent);
    }
}

TEST_CASE("malformed text is refused") {
    const std::string tail = "192.0.2.1 192.0.2.2 4660 80\r\n";
    const std::vector<std::string> lines{
        "PROXY \r\n",
        "PROXY  TCP4 " + tail,
        "PROXY TCP4\r\n",
        "PROXY TCP5 " + tail,
        "PROXY tcp4 " + tail,
        "PROXY UDP4 " + tail,
        "PROXY UNKNOWNX\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4660\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80 90\r\n",
        "PROXY TCP4 192.0.2.1  192.0.2.2 4660 80\r\n",
        "PROXY TCP4 192.0.2.1\t192.0.2.2 4660 80\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 4660 80\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 4660 80\r\n",
        "PROXY TCP4 192.0.2.1 nonsense 4660 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4660 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 04660 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2  80\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 4660 80\r\n",
        "PROXY TCP4 192.0.2.1 2001:db8::2 4660 80\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 4660 80\r\n",
        "PROXY TCP6 2001:db8::1 192.0.2.2 4660 80\r\n",
        "PROXY TCP6 2001:db8:::1 2001:db8::2 4660 80\r\n",
        "PROXY TCP6 [2001:db8::1] [2001:db8::2] 4660 80\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\n\r\n",
        std::string("PROXY TCP4 192.0.2.1\0 192.0.2.2 4660 80\r\n", 41),
    };
    for (const std::string& line : lines) {
        INFO(line);
        const ProxyHeader header = parse_proxy_header(line);
        CHECK(header.state == State::malformed);
        CHECK_FALSE(header.source.has_value());
    }
}

TEST_CASE("a line without an end is refused at 107 bytes, and one that is longer too") {
    const std::string endless = "PROXY UNKNOWN " + std::string(1'000, 'x');
    CHECK(parse_proxy_header(endless.substr(0, 106)).state == State::incomplete);
    CHECK(parse_proxy_header(endless.substr(0, 107)).state == State::malformed);
    CHECK(parse_proxy_header(endless).state == State::malformed);
    const std::string longest = endless.substr(0, 105) + "\r\n";
    CHECK(parse_proxy_header(longest).state == State::complete);
    CHECK(parse_proxy_header(endless.substr(0, 106) + "\r\n").state == State::malformed);
}

TEST_CASE("malformed binary is refused") {
    const std::vector<std::string> headers{
        binary(0x11, 0x11, kV4),  // version 1 in binary
        binary(0x31, 0x11, kV4),  // a version to come
        binary(0x01, 0x11, kV4),
        binary(0x22, 0x11, kV4),  // unknown commands
        binary(0x2f, 0x11, kV4),
        binary(0x21, 0x11, kV4.substr(0, 11)),  // too short for its family
        binary(0x21, 0x11, ""),
        binary(0x21, 0x21, kV6.substr(0, 35)),
        binary(0x21, 0x21, kV4),
        binary(0x21, 0x11, kV4 + std::string(kMaxProxyHeader - 16 - 12 + 1, 't')),
        binary(0x20, 0x00, std::string(65'535, 't')),
    };
    for (const std::string& bytes : headers) {
        INFO(bytes.substr(12, 8));
        CHECK(parse_proxy_header(bytes).state == State::malformed);
        // An address that is too short may be known only at the end, a length that is too long at once.
        const State early = parse_proxy_header(std::string_view(bytes).substr(0, 16)).state;
        CHECK((early == State::malformed || early == State::incomplete));
    }
    CHECK(parse_proxy_header(std::string_view(headers.back()).substr(0, 16)).state == State::malformed);
}
