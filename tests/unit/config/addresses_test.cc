#include "config/addresses.h"

#include "catch.h"

namespace palier::config {
namespace {

std::string listener_error(std::string_view text) {
    return parse_listener_address(text).error().message;
}
std::string server_error(std::string_view text) {
    return parse_server_address(text).error().message;
}
std::string host_error(std::string_view text) {
    return parse_host_pattern(text).error().message;
}

TEST_CASE("listeners have an IP address and a port") {
    CHECK(parse_listener_address("0.0.0.0:443").value().to_string() == "0.0.0.0:443");
    CHECK(parse_listener_address("[::]:443").value().to_string() == "[::]:443");
    CHECK(parse_listener_address("127.0.0.1:0").value().port() == 0);
    CHECK(listener_error(":8080") ==
          "\":8080\" says no IP address; for all of them write \"0.0.0.0:8080\" and \"[::]:8080\"");
    CHECK(listener_error("*:80").find("says no IP address") != std::string::npos);
    CHECK(listener_error("10.0.0.1") == "\"10.0.0.1\" has no port");
    CHECK(listener_error("www.example.com:80") ==
          "\"www.example.com:80\" is not an IP address and a port such as \"0.0.0.0:443\" or \"[::]:443\"");
    CHECK_FALSE(parse_listener_address("10.0.0.1:65536"));
    CHECK_FALSE(parse_listener_address("10.0.0.1:"));
    CHECK_FALSE(parse_listener_address("8080"));
    CHECK_FALSE(parse_listener_address(""));
}

TEST_CASE("servers have an address or a host name, and a port") {
    CHECK(parse_server_address("10.0.0.11:8080").value().host == "10.0.0.11");
    CHECK(parse_server_address("10.0.0.11:8080").value().port == 8080);
    CHECK(parse_server_address("[::1]:80").value().host == "::1");
    CHECK(parse_server_address("front.internal:8080").value().host == "front.internal");
    CHECK(parse_server_address("php_1:9000").value().host == "php_1");
    CHECK(server_error("10.0.0.11") == "\"10.0.0.11\" has no port");
    CHECK(server_error("front.internal") == "\"front.internal\" has no port");
    CHECK(server_error("front:0") == "\"front:0\" has no port from 1 to 65535");
    CHECK(server_error("front:http") == "\"front:http\" has no port from 1 to 65535");
    CHECK(server_error("front:70000") == "\"front:70000\" has no port from 1 to 65535");
    CHECK(server_error("http://front:80") ==
          "\"http://front:80\" is a URL; only the address and port are wanted, such as \"10.0.0.11:8080\"");
    CHECK(server_error("::1:80").find("an IPv6 address with one is written \"[::1]:80\"") !=
          std::string::npos);
    CHECK(server_error("fröntchen:80").find("punycode") != std::string::npos);
    for (const char* text : {"10.0.0.256:80", "1.2.3:80", "-a:80", "a-:80", "a..b:80", ".a:80", "a b:80",
                             ":80", "[10.0.0.1]:80", "[::1:80", "[]:80", "a/b:80", "2001:db8::zz:80"}) {
        INFO(text);
        CHECK_FALSE(parse_server_address(text));
    }
    CHECK_FALSE(parse_server_address(std::string(64, 'a') + ":80"));
    CHECK(parse_server_address(std::string(63, 'a') + ":80"));
}

TEST_CASE("host patterns are names in lower case, perhaps with a wildcard in front") {
    CHECK(parse_host_pattern("Shop.Example.COM").value() == "shop.example.com");
    CHECK(parse_host_pattern("*.example.com").value() == "*.example.com");
    CHECK(parse_host_pattern("localhost").value() == "localhost");
    CHECK(parse_host_pattern("192.0.2.1").value() == "192.0.2.1");
    CHECK(parse_host_pattern("[2001:DB8::1]").value() == "[2001:db8::1]");
    CHECK(parse_host_pattern("xn--bcher-kva.example").value() == "xn--bcher-kva.example");
    CHECK(host_error("*") == "\"*\" is not needed: a route without \"host\" serves every host");
    CHECK(host_error("example.com:80") == "\"example.com:80\" must be a host name without a port");
    CHECK(host_error("https://example.com") ==
          "\"https://example.com\" is not a host name alone; paths go to \"path\"");
    CHECK(host_error("example.com/a") == "\"example.com/a\" is not a host name alone; paths go to \"path\"");
    CHECK(host_error("bücher.example") ==
          "\"bücher.example\" must be written as it travels, in punycode (\"xn--…\")");
    const std::string wildcard = "may have \"*\" as its whole first label only, as in \"*.example.com\"";
    CHECK(host_error("www.*.com") == "\"www.*.com\" " + wildcard);
    CHECK(host_error("*example.com") == "\"*example.com\" " + wildcard);
    CHECK(host_error("*.*.com") == "\"*.*.com\" " + wildcard);
    for (const char* text : {"", "a..b", ".a", "a.", "a b", "*.", "-a.com", "[::1]:80", "[zz]"}) {
        INFO(text);
        CHECK_FALSE(parse_host_pattern(text));
    }
}

TEST_CASE("certificates are for a host name or an IP address") {
    CHECK(parse_certificate_name("WWW.Example.com").value() == "www.example.com");
    CHECK(parse_certificate_name("localhost").value() == "localhost");
    CHECK(parse_certificate_name("2001:DB8:0::1").value() == "2001:db8::1");
    CHECK(parse_certificate_name("bücher.example").error().message ==
          "\"bücher.example\" must be written as it travels, in punycode (\"xn--…\")");
    for (const char* text : {"", "*.example.com", "www.example.com:443", "[::1]", "https://a", "a b"}) {
        INFO(text);
        CHECK_FALSE(parse_certificate_name(text));
    }
}

}  // namespace
}  // namespace palier::config
