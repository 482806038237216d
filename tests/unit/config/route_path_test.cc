#include "config/route_path.h"

#include "catch.h"

namespace palier::config {
namespace {

std::string error(std::string_view text) {
    return parse_route_path(text).error().message;
}

TEST_CASE("a path is a prefix, or exact after an equals sign") {
    CHECK(parse_route_path("/").value().path == "/");
    CHECK(parse_route_path("/admin/").value().path == "/admin/");
    CHECK_FALSE(parse_route_path("/admin/").value().exact);
    CHECK(parse_route_path("=/exact").value().path == "/exact");
    CHECK(parse_route_path("=/exact").value().exact);
    CHECK(parse_route_path("/a//b/.c/..d/e.").value().path == "/a//b/.c/..d/e.");
}

TEST_CASE("a path takes the form in which requests are matched") {
    CHECK(parse_route_path("/%41%7e%2Dz").value().path == "/A~-z");
    CHECK(parse_route_path("/%c3%a9/a%2fb").value().path == "/%C3%A9/a%2Fb");
}

TEST_CASE("a path that no request can have is refused") {
    CHECK(error("admin/") == "must begin with \"/\", or with \"=/\" for one path only");
    CHECK(error("") == error("admin/"));
    CHECK(error("=") == error("admin/"));
    CHECK(error("/a?b") == "must end before \"?\": queries have no part in routing");
    CHECK(error("/é") == "must be written as it travels, with %-escapes");
    CHECK(error("/a/../b") == "never matches: \".\" and \"..\" are resolved before routing");
    CHECK(error("/a/%2e") == error("/a/../b"));
    CHECK(error("/%4") == "has a \"%\" without two hexadecimal digits");
    CHECK(error("/%zz") == error("/%4"));
    for (const char* text : {"/a b", "/a#b", "/a\\b", "/a\tb", "/%00", "/%5c"}) {
        INFO(text);
        CHECK(error(text) == "holds a character that no path can have");
    }
}

}  // namespace
}  // namespace palier::config
