#include "palier/http/path.h"

#include "catch.h"

#include <string>

using namespace palier::http;
using namespace std::string_literals;

namespace {

/// "match forward", or "refused".
std::string canonical(const std::string& target) {
    std::string storage = "left over";
    const CanonicalPath path = canonical_path(target, storage);
    if (!path.ok) return "refused";
    CHECK(path.forward_changed == (path.forward != target));
    return std::string(path.match) + " " + std::string(path.forward);
}

}  // namespace

TEST_CASE("Plain paths stay as they are, without storage") {
    for (const std::string target : {"/", "/a/b.c", "/a//b", "//", "/a...b/.../..c/d..",
                                     "/~u/a;b=c,d/$!&'()*+=:@", "/\xc3\xa9", "/\"<>|^`{}", "*"}) {
        std::string storage;
        const CanonicalPath path = canonical_path(target, storage);
        CAPTURE(target);
        CHECK(path.ok);
        CHECK(path.match == target);
        CHECK(path.forward == target);
        CHECK_FALSE(path.forward_changed);
    }
    CHECK(canonical("/a.b?c=d/../%zz\\") == "/a.b /a.b?c=d/../%zz\\");
    CHECK(canonical("/?") == "/ /?");
    const std::string plain = "/index.html?x";
    std::string storage;
    CHECK(canonical_path(plain, storage).match.data() == plain.data());
    CHECK(storage.empty());
}

TEST_CASE("Dot segments are resolved") {
    CHECK(canonical("/.") == "/ /");
    CHECK(canonical("/./") == "/ /");
    CHECK(canonical("/a/.") == "/a/ /a/");
    CHECK(canonical("/a/./b") == "/a/b /a/b");
    CHECK(canonical("/a/..") == "/ /");
    CHECK(canonical("/a/../") == "/ /");
    CHECK(canonical("/a/b/..") == "/a/ /a/");
    CHECK(canonical("/a/b/../c") == "/a/c /a/c");
    CHECK(canonical("/a/b/../../c?x=/../y") == "/c /c?x=/../y");
    CHECK(canonical("/a//../b") == "/a/b /a/b");
    CHECK(canonical("//..") == "/ /");
    CHECK(canonical("/a/././././b/.") == "/a/b/ /a/b/");
    CHECK(canonical("/%2e") == "/ /");
    CHECK(canonical("/a/%2E%2e/b") == "/b /b");
    CHECK(canonical("/a/.%2e/b") == "/b /b");
    CHECK(canonical("/.well-known/x") == "/.well-known/x /.well-known/x");
    CHECK(canonical("/..a/.b") == "/..a/.b /..a/.b");
}

TEST_CASE("A path that climbs above the root is refused") {
    for (const std::string target :
         {"/..", "/../", "/../a", "/a/../..", "/a/../../b", "/%2e%2e/a", "/./..", "//../.."}) {
        CAPTURE(target);
        CHECK(canonical(target) == "refused");
    }
}

TEST_CASE("Unreserved characters are decoded for matching only") {
    CHECK(canonical("/%61dmin/%7e%5F%2d") == "/admin/~_- /%61dmin/%7e%5F%2d");
    CHECK(canonical("/a%2fb") == "/a%2Fb /a%2fb");
    CHECK(canonical("/a%2F..%2Fb") == "/a%2F..%2Fb /a%2F..%2Fb");
    CHECK(canonical("/%c3%A9%20%25") == "/%C3%A9%20%25 /%c3%A9%20%25");
    CHECK(canonical("/%2561") == "/%2561 /%2561");
    CHECK(canonical("/%61/../b%2f?%zz") == "/b%2F /b%2F?%zz");
}

TEST_CASE("What a path must not hold") {
    for (const std::string& target :
         {"/%00"s,  "/a%00b"s,    "/%"s,          "/%2"s,       "/%zz"s,    "/%2g"s,  "/a%"s,
          "/\\"s,   "/a\\..\\b"s, "/%5c"s,        "/%5C"s,      "/a#b"s,    "/a b"s,  "/\0"s,
          "/\x01"s, "/\x7f"s,     "/\t"s,         "/a/./\x01"s, "/a/./\\"s, "/%41#"s, "/?a b"s,
          "/?a#b"s, "/?\x01"s,    "/a/../?\x7f"s, ""s,          "a"s,       "**"s,    "?x"s}) {
        CAPTURE(target);
        CHECK(canonical(target) == "refused");
    }
}

TEST_CASE("A query after a path that changes is left alone") {
    CHECK(canonical("/a/./b?") == "/a/b /a/b?");
    CHECK(canonical("/%61?%61=./..") == "/a /%61?%61=./..");
}

TEST_CASE("A canonical path is canonical") {
    std::string storage;
    for (const std::string target : {"/a/./b/../c%2fd/%7E", "/..a/%2e%2e/x", "/a//../b/."}) {
        const CanonicalPath first = canonical_path(target, storage);
        REQUIRE(first.ok);
        const std::string match(first.match);
        const CanonicalPath second = canonical_path(match, storage);
        CHECK(second.ok);
        CHECK(second.match == match);
    }
}
