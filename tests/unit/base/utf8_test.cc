#include "palier/base/utf8.h"

#include "catch.h"

#include <string>

using namespace std::string_literals;

namespace palier::base {
namespace {

TEST_CASE("characters of one to four bytes are found at the front of a text") {
    CHECK(utf8_size("a") == 1);
    CHECK(utf8_size(std::string_view("\0x", 2)) == 1);
    CHECK(utf8_size("\xc3\xa9t\xc3\xa9") == 2);
    CHECK(utf8_size("\xe2\x82\xac") == 3);
    CHECK(utf8_size("\xf0\x9f\x9a\x80!") == 4);
}

TEST_CASE("what is no character has no size") {
    for (const std::string_view text :
         {"", "\x80", "\xbf", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe2\x82", "\xe0\x9f\xbf",
          "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
        CHECK(utf8_size(text) == 0);
    }
}

TEST_CASE("controls are those of ASCII, DEL and those of Latin 1") {
    for (const std::string_view control : {"\n", "\x1b", "\x7f", "\xc2\x80", "\xc2\x9f"})
        CHECK(is_control(control));
    CHECK(is_control(std::string_view("\0", 1)));
    for (const std::string_view character : {" ", "~", "\xc2\xa0", "\xc3\x80", "\xe2\x82\xac"})
        CHECK_FALSE(is_control(character));
}

TEST_CASE("printable: one line of valid UTF-8") {
    CHECK(printable("Too many connections", 80) == "Too many connections");
    CHECK(printable("accès refusé € 😀", 80) == "accès refusé € 😀");
    CHECK(printable("a\r\nb\0c\x7f\x1b[31m"s, 80) == "a??b?c??[31m");
    CHECK(printable("\xc2\x85", 80) == "??");                 // NEL, a C1 control
    CHECK(printable("caf\xe9 !", 80) == "caf? !");            // Latin-1
    CHECK(printable("\xc0\xaf\xe0\x80\xaf", 80) == "?????");  // overlong
    CHECK(printable("\xed\xa0\x80", 80) == "???");            // a surrogate
    CHECK(printable("\xf4\x90\x80\x80\xf8", 80) == "?????");  // beyond Unicode
    CHECK(printable("\xf0\x80\x80\x80", 80) == "????");       // overlong
    CHECK(printable("a\xe2\x82", 80) == "a??");               // cut
    CHECK(printable("", 80).empty());
}

TEST_CASE("printable: bounded, and not within a character") {
    CHECK(printable("abcd", 4) == "abcd");
    CHECK(printable("abcde", 4) == "abcd...");
    CHECK(printable("abcé", 4) == "abc...");
    CHECK(printable(std::string(100'000, '\n'), 3) == "???...");
}

}  // namespace
}  // namespace palier::base
