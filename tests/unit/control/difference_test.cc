#include "palier/control/difference.h"

#include "catch.h"
#include "palier/config/load.h"

namespace palier::control {
namespace {

using Lines = std::vector<std::string>;

constexpr std::string_view kBefore = R"(
node = "srv1"
[[listener]]
name = "http"
address = "127.0.0.1:80"
[[listener]]
name = "back"
address = "127.0.0.1:81"
[[pool]]
name = "web"
  [[pool.server]]
  name = "a"
  address = "10.0.0.1:80"
  [[pool.server]]
  name = "b"
  address = "10.0.0.2:80"
[[pool]]
name = "office"
  [[pool.server]]
  name = "c"
  address = "10.0.0.3:80"
[[route]]
pool = "web"
[[route]]
host = ["a.example", "b.example"]
path = "/office/"
listener = "back"
pool = "office"
)";

config::Config load(const std::string& text) {
    auto loaded = config::load_text(text, "test", "/");
    INFO((loaded ? "" : loaded.error().front().to_string()));
    REQUIRE(loaded);
    return *loaded;
}

/// Of kBefore, with `from` replaced by `to`.
Difference replaced(const std::string& from, const std::string& to) {
    std::string after(kBefore);
    const std::size_t at = after.find(from);
    REQUIRE(at != std::string::npos);
    after.replace(at, from.size(), to);
    return difference(load(std::string(kBefore)), load(after));
}

Lines all(const Difference& found) {
    Lines lines;
    for (const auto& line : found.added)
        lines.push_back("+ " + line);
    for (const auto& line : found.changed)
        lines.push_back("~ " + line);
    for (const auto& line : found.removed)
        lines.push_back("- " + line);
    for (const auto& line : found.needs_restart)
        lines.push_back("! " + line);
    return lines;
}

TEST_CASE("the same configuration differs in nothing") {
    CHECK(replaced("10.0.0.1", "10.0.0.1").none());
}

TEST_CASE("listeners, pools and servers come and go by name") {
    CHECK(all(replaced("name = \"http\"", "name = \"web\"")) == Lines{"+ listener web", "- listener http"});
    CHECK(all(replaced("[[pool]]\nname = \"office\"",
                       "  [[pool.server]]\n  name = \"x\"\n  address = \"h:1\"\n"
                       "[[pool]]\nname = \"office\"")) == Lines{"+ server web/x"});
    CHECK(all(replaced("name = \"b\"", "name = \"x\"")) == Lines{"+ server web/x", "- server web/b"});
}

TEST_CASE("a pool that goes takes its servers and leaves its routes to another") {
    std::string after(kBefore);
    const std::size_t pool = after.find("[[pool]]\nname = \"office\"");
    after.erase(pool, after.find("[[route]]") - pool);
    after.replace(after.find("pool = \"office\""), 15, "pool = \"web\"");
    CHECK(all(difference(load(std::string(kBefore)), load(after))) ==
          Lines{"~ route a.example|b.example/office/ on back: pool office -> pool web", "- pool office",
                "- server office/c"});
    CHECK(all(difference(load(after), load(std::string(kBefore)))) ==
          Lines{"+ pool office", "+ server office/c",
                "~ route a.example|b.example/office/ on back: pool web -> pool office"});
}

TEST_CASE("what is changed says from what to what") {
    CHECK(all(replaced("address = \"10.0.0.2:80\"", "address = \"10.0.0.9:80\"\n  weight = 5")) ==
          Lines{"~ server web/b: address \"10.0.0.2:80\" -> \"10.0.0.9:80\", weight 100 -> 5"});
    CHECK(all(replaced("127.0.0.1:80", "[::1]:80")) ==
          Lines{"~ listener http: address [127.0.0.1:80] -> [[::1]:80]"});
    CHECK(all(replaced("name = \"office\"", "name = \"office\"\nretries = 0\nfailback = \"manual\"")) ==
          Lines{"~ pool office: failback auto -> manual, retries 2 -> 0"});
    CHECK(all(replaced("name = \"office\"", "name = \"office\"\n  [pool.health]\n  interval = \"5s\"")) ==
          Lines{"~ pool office: health off -> on"});
    CHECK(all(replaced("node = \"srv1\"",
                       "[timeouts]\nserver = \"90s\"\n[limits]\nbody = \"1MiB\"\nconnections = 9")) ==
          Lines{"~ node \"srv1\" -> \"\"", "~ timeouts.server 1m -> 90s", "~ limits.body 0 -> 1MiB",
                "~ limits.connections 0 -> 9"});
}

TEST_CASE("routes are known by their listeners, hosts and path, whatever the order") {
    CHECK(
        all(replaced("pool = \"web\"\n[[route]]", "redirect = { to = \"https\", code = 308 }\n[[route]]")) ==
        Lines{"~ route /: pool web -> redirect 308 to https"});
    CHECK(all(replaced("path = \"/office/\"", "path = \"=/office\"")) ==
          Lines{"+ route a.example|b.example=/office on back to pool office",
                "- route a.example|b.example/office/ on back to pool office"});
    // Indexes of listeners and pools move with their order, and mean the same.
    CHECK(all(replaced(
              "[[listener]]\nname = \"http\"",
              "[[listener]]\nname = \"first\"\naddress = \"127.0.0.1:82\"\n[[listener]]\nname = \"http\"")) ==
          Lines{"+ listener first"});
}

TEST_CASE("what a reload cannot do is told apart") {
    CHECK(all(replaced("node = \"srv1\"", "node = \"srv1\"\nworkers = 3\ncontrol_socket = \"/x\"")) ==
          Lines{"! workers 0 -> 3", "! control_socket \"/run/palier/control.sock\" -> \"/x\""});
}

}  // namespace
}  // namespace palier::control
