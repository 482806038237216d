#include "tls/server_name.h"

#include "catch.h"
#include "tls/host_name.h"

#include <string>
#include <vector>

namespace palier::tls {
namespace {

using namespace std::string_literals;

std::string u16(std::size_t value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
std::string entry(char type, const std::string& name) {
    return std::string(1, type) + u16(name.size()) + name;
}
std::string list(const std::string& entries) {
    return u16(entries.size()) + entries;
}
/// "refused", or the name.
std::string read(const std::string& extension) {
    const std::vector<char> bytes(extension.begin(), extension.end());
    const auto name = read_server_name({bytes.data(), bytes.size()});
    return name ? std::string(*name) : "refused";
}

TEST_CASE("the host name is found in its extension") {
    CHECK(read(list(entry(0, "www.example.com"))) == "www.example.com");
    CHECK(read(list(entry(7, "other") + entry(0, "a"))) == "a");
    CHECK(read(list(entry(7, "other"))).empty());
}

TEST_CASE("an extension that is not well formed is refused") {
    const std::string good = list(entry(0, "www.example.com"));
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK(read(good.substr(0, size)) == "refused");
    CHECK(read(good + "x") == "refused");
    CHECK(read(list("")) == "refused");
    CHECK(read(list(entry(0, ""))) == "refused");
    CHECK(read(list(entry(0, "a") + entry(0, "b"))) == "refused");
    CHECK(read(u16(200) + entry(0, "a")) == "refused");
    CHECK(read(list("\0\xff\xff"s + "a")) == "refused");
}

std::string form(std::string_view text, bool wildcard = false) {
    return std::string(HostName(text, wildcard).view());
}

TEST_CASE("host names come into one form") {
    CHECK(form("WWW.Example.Com.") == "www.example.com");
    CHECK(form("localhost") == "localhost");
    CHECK(form("a_b.example") == "a_b.example");
    CHECK(form("192.0.2.1") == "192.0.2.1");
    CHECK(form("*.Example.com", true) == "*.example.com");
}

TEST_CASE("what is no host name has no form") {
    for (const std::string& bad :
         {""s, "."s, ".."s, ".a"s, "a..b"s, "a.."s, "a b"s, "a\0b"s, "a\nb"s, "[::1]"s, "\xc3\xa9"s, "*"s,
          "*.example.com"s, "a:443"s, std::string(64, 'a') + ".b", std::string(300, 'a')}) {
        INFO(bad);
        CHECK(form(bad).empty());
    }
    for (const char* bad : {"*", "*.", "*..a", "a.*.b", "*a.b", "**.b"})
        CHECK(form(bad, true).empty());
    std::string longest;
    while (longest.size() < 252)
        longest += "a.";
    CHECK(form(longest + "a").size() == 253);
    CHECK(form(longest + "aa").empty());
}

TEST_CASE("a name's wildcard replaces one label") {
    CHECK(HostName("www.example.com").wildcard().view() == "*.example.com");
    CHECK(HostName("a.b").wildcard().view() == "*.b");
    CHECK(HostName("localhost").wildcard().empty());
    CHECK(HostName("").wildcard().empty());
}

}  // namespace
}  // namespace palier::tls
