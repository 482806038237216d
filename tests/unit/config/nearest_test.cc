#include "palier/config/nearest.h"

#include "catch.h"

#include <array>

namespace palier::config {
namespace {

TEST_CASE("edit distance counts a swap of neighbours once") {
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("shutdwon_grace", "shutdown_grace") == 1);
    CHECK(edit_distance("Weight", "weight") == 0);
}

TEST_CASE("only a near name is suggested") {
    constexpr std::array<std::string_view, 4> kKnown{"connect", "client_idle", "server", "tunnel"};
    CHECK(nearest("conect", kKnown) == "connect");
    CHECK(nearest("sever", kKnown) == "server");
    CHECK(nearest("clientidle", kKnown) == "client_idle");
    CHECK(nearest("weight", kKnown).empty());
    CHECK(nearest("x", kKnown).empty());
    CHECK(suggestion("tunel", kKnown) == "; did you mean \"tunnel\"?");
    CHECK(suggestion("zzz", kKnown).empty());
}

TEST_CASE("a name of one letter is not near to every other") {
    constexpr std::array<std::string_view, 2> kKnown{"a", "b"};
    CHECK(nearest("c", kKnown).empty());
}

}  // namespace
}  // namespace palier::config
