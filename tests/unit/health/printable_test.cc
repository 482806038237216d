#include "health/printable.h"

#include "catch.h"

using palier::health::printable;
using namespace std::string_literals;

TEST_CASE("printable: one line of valid UTF-8", "[printable]") {
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

TEST_CASE("printable: bounded, and not within a character", "[printable]") {
    CHECK(printable("abcd", 4) == "abcd");
    CHECK(printable("abcde", 4) == "abcd...");
    CHECK(printable("abcé", 4) == "abc...");
    CHECK(printable(std::string(100'000, '\n'), 3) == "???...");
}
