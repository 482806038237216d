#include "config/key_place.h"

#include "catch.h"

namespace palier::config {
namespace {

/// Where the key is found when its value, header or dotted key is at the "@", which is taken out first.
std::size_t found(std::string text, std::string_view key) {
    const std::size_t at = text.find('@');
    text.erase(at, 1);
    return key_offset(text, at, key);
}

TEST_CASE("a key stands before its value") {
    CHECK(found("weight = @1", "weight") == 0);
    CHECK(found("a = 1\n  weight\t=\t @1", "weight") == 8);
    CHECK(found("weight=@1", "weight") == 0);
    CHECK(found("a = { b = @1 }", "b") == 6);
    CHECK(found("a = { b = 1, to = @\"x\" }", "to") == 13);
    CHECK(found("list = @[1]", "list") == 0);
}

TEST_CASE("quoted keys are found whole") {
    CHECK(found("\"a b\" = @1", "a b") == 0);
    CHECK(found("x = 1\n'a b' = @1", "a b") == 6);
    CHECK(found("\"a \\\" b\" = @1", "a \" b") == 0);
}

TEST_CASE("the parts of a dotted key have places of their own") {
    CHECK(found("@log.level = 1", "log") == 0);
    CHECK(found("log.level = @1", "level") == 4);
    CHECK(found("@log . level = 1", "level") == 6);
}

TEST_CASE("a header holds the keys of its tables") {
    CHECK(found("@[log]", "log") == 1);
    CHECK(found("@[[ pool . server ]]", "pool") == 3);
    CHECK(found("@[[ pool . server ]]", "server") == 10);
    CHECK(found("x = 1\n  @[pool.\"out lier\"]", "out lier") == 14);
}

}  // namespace
}  // namespace palier::config
