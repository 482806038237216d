#include "palier/base/ip.h"

#include "catch.h"

#include <arpa/inet.h>

using palier::base::Cidr;
using palier::base::IpAddress;
using palier::base::SocketAddress;

namespace {

IpAddress ip(std::string_view text) {
    const auto parsed = IpAddress::parse(text);
    if (!parsed) FAIL(parsed.error().message);
    return *parsed;
}

Cidr cidr(std::string_view text) {
    const auto parsed = Cidr::parse(text);
    if (!parsed) FAIL(parsed.error().message);
    return *parsed;
}

}  // namespace

TEST_CASE("addresses are read and written") {
    CHECK(ip("192.0.2.1").is_v4());
    CHECK(ip("192.0.2.1").to_string() == "192.0.2.1");
    CHECK(ip("255.255.255.255").to_string() == "255.255.255.255");
    CHECK_FALSE(ip("2001:db8::1").is_v4());
    CHECK(ip("2001:DB8:0:0::1").to_string() == "2001:db8::1");
    CHECK(ip("::").to_string() == "::");
    CHECK(IpAddress().to_string() == "0.0.0.0");
    char text[46];
    const std::size_t length = ip("fe80:1111:2222:3333:4444:5555:6666:7777").format(text);
    CHECK(std::string_view(text, length) == "fe80:1111:2222:3333:4444:5555:6666:7777");
}

TEST_CASE("an IPv4-mapped address is the IPv4 address") {
    CHECK(ip("::ffff:192.0.2.1") == ip("192.0.2.1"));
    CHECK(ip("::ffff:192.0.2.1").is_v4());
    CHECK(ip("::192.0.2.1") != ip("192.0.2.1"));
}

TEST_CASE("what is not an address is refused") {
    for (const char* text : {"", " ", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.4 ", "01.2.3.4x", "[::1]",
                             ":::", "1::2::3", "example.com", "12345::", "fe80::1%eth0"}) {
        CAPTURE(text);
        CHECK_FALSE(IpAddress::parse(text).has_value());
    }
    CHECK_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)).has_value());
}

TEST_CASE("a network contains its addresses and no others") {
    CHECK(cidr("10.0.0.0/8").contains(ip("10.255.255.255")));
    CHECK_FALSE(cidr("10.0.0.0/8").contains(ip("11.0.0.0")));
    CHECK(cidr("192.0.2.128/25").contains(ip("192.0.2.128")));
    CHECK_FALSE(cidr("192.0.2.128/25").contains(ip("192.0.2.127")));
    CHECK(cidr("192.0.2.1").contains(ip("192.0.2.1")));
    CHECK_FALSE(cidr("192.0.2.1").contains(ip("192.0.2.2")));
    CHECK(cidr("0.0.0.0/0").contains(ip("203.0.113.9")));
    CHECK_FALSE(cidr("0.0.0.0/0").contains(ip("::1")));
    CHECK(cidr("2001:db8::/33").contains(ip("2001:db8:7fff::1")));
    CHECK_FALSE(cidr("2001:db8::/33").contains(ip("2001:db8:8000::1")));
    CHECK(cidr("::1/128").contains(ip("::1")));
    CHECK_FALSE(cidr("::/0").contains(ip("10.0.0.1")));
    CHECK(cidr("10.0.0.7/8").contains(ip("10.9.9.9")));  // bits beyond the prefix do not matter
}

TEST_CASE("an IPv4 client on an IPv6 socket is in IPv4 networks") {
    CHECK(cidr("10.0.0.0/8").contains(ip("::ffff:10.1.2.3")));
}

TEST_CASE("what is not a network is refused") {
    for (const char* text :
         {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+1", "10.0.0.0/8/8",
          "10.0.0.0/8 ", "10.0.0/8", "::/129", "10.0.0.0/a", "10.0.0.0/4294967304"}) {
        CAPTURE(text);
        CHECK_FALSE(Cidr::parse(text).has_value());
    }
}

TEST_CASE("networks are written with their prefix") {
    CHECK(cidr("10.0.0.0/8").to_string() == "10.0.0.0/8");
    CHECK(cidr("2001:db8::1").to_string() == "2001:db8::1/128");
}

TEST_CASE("socket addresses are read, written and converted") {
    for (const char* text : {"192.0.2.1:80", "0.0.0.0:0", "[2001:db8::1]:65535", "[::]:443"}) {
        CAPTURE(text);
        const auto address = SocketAddress::parse(text);
        REQUIRE(address.has_value());
        CHECK(address->to_string() == text);
        sockaddr_storage storage;
        const socklen_t length = address->to_sockaddr(storage);
        CHECK(length == (address->ip().is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
        CHECK(SocketAddress(storage) == *address);
    }
    CHECK(SocketAddress::parse("192.0.2.1:8080")->port() == 8080);
}

TEST_CASE("a mapped IPv4 peer becomes an IPv4 socket address") {
    sockaddr_storage storage{};
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(1234);
    REQUIRE(inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr) == 1);
    CHECK(SocketAddress(storage).to_string() == "192.0.2.7:1234");
}

TEST_CASE("what is not a socket address is refused") {
    for (const char* text :
         {"", ":", ":80", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1: 80",
          "2001:db8::1:80", "[2001:db8::1]", "[2001:db8::1]80", "[]:80", "example.com:80", "192.0.2.1:80x"}) {
        CAPTURE(text);
        CHECK_FALSE(SocketAddress::parse(text).has_value());
    }
}
