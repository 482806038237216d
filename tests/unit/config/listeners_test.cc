#include "config/load_fixture.h"

namespace palier::config {
namespace {

TEST_CASE("listeners are read") {
    const Config config = config_of(R"(trusted_proxies = ["10.0.0.0/8"]
[[listener]]
name = "one"
address = "127.0.0.1:8001"
[[listener]]
name = "two"
address = ["127.0.0.1:8002", "[::1]:8002"]
proxy_protocol = "required"
)");
    REQUIRE(config.listeners.size() == 3);
    CHECK(config.listeners[0].name == "one");
    CHECK(config.listeners[0].proxy_protocol == ProxyProtocol::off);
    REQUIRE(config.listeners[1].addresses.size() == 2);
    CHECK(config.listeners[1].addresses[1].to_string() == "[::1]:8002");
    CHECK(config.listeners[1].proxy_protocol == ProxyProtocol::required);
}

TEST_CASE("a listener's name and address are required") {
    CHECK(mistakes_in("\n[[listener]]\n") ==
          Strings{"t:2:1: \"listener.name\" is missing", "t:2:1: \"listener.address\" is missing"});
    CHECK(mistakes_in("[[listener]]\nname = \"x\"\naddress = []\n") ==
          Strings{"t:3:11: \"listener.address\" must not be empty"});
    CHECK(mistakes_in("[[listener]]\nname = \"x\"\naddress = 80\n") ==
          Strings{"t:3:11: \"listener.address\" must be a string or a list of strings, not a number"});
}

TEST_CASE("names are words") {
    for (const char* name : {"", "a b", "a/b", "a=b", "a\\\"b", "a\\tb"}) {
        INFO(name);
        CHECK(
            mistakes_in("[[listener]]\nname = \"" + std::string(name) + "\"\naddress = \"127.0.0.1:0\"\n") ==
            Strings{"t:2:8: \"listener.name\" must be a word of 1 to 128 characters, without spaces, \"/\", "
                    "\"=\", "
                    "\"\\\" or quotes"});
    }
}

TEST_CASE("two listeners cannot share a name or an address") {
    CHECK(mistakes_in(R"([[listener]]
name = "a"
address = ["127.0.0.1:81", "127.0.0.1:82"]
[[listener]]
name = "a"
address = "127.0.0.1:82"
)") == Strings{"t:5:8: there are two listeners \"a\"; the first is at t:2:8",
               "t:6:11: \"127.0.0.1:82\" is listened on twice; the first time at t:3:28"});
    CHECK(config_of("[[listener]]\nname = \"x\"\naddress = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n")
              .listeners.size() == 2);
}

TEST_CASE("a table instead of a list of tables is told how to write it") {
    CHECK(mistakes_in_all("[listener]\nname = \"x\"\n")[1] ==
          "t:1:2: \"listener\" is a list of tables: write [[listener]]");
    CHECK(mistakes_in_all("listener = \"x\"\n")[1] ==
          "t:1:12: \"listener\" must be a list of tables, written [[listener]], not a string");
}

TEST_CASE("a required PROXY header needs somebody who is believed") {
    CHECK(
        mistakes_in(
            "[[listener]]\nname = \"x\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"required\"\n") ==
        Strings{
            "t:4:1: \"required\" without \"trusted_proxies\" would close every connection: PROXY headers are "
            "believed from trusted proxies only"});
    CHECK(
        mistakes_in("[[listener]]\nname = \"x\"\naddress = \"127.0.0.1:0\"\nproxy_protocol = \"on\"\n") ==
        Strings{
            "t:4:18: \"listener.proxy_protocol\" must be \"off\", \"optional\" or \"required\", not \"on\""});
}

}  // namespace
}  // namespace palier::config
