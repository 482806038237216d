#include "config/load_fixture.h"

namespace palier::config {
namespace {

const std::string kPools =
    "[[pool]]\nname = \"web\"\n[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n"
    "[[pool]]\nname = \"db\"\n[[pool.server]]\nname = \"s\"\naddress = \"s:2\"\n";

using Indexes = std::vector<std::size_t>;

TEST_CASE("palier may be ready without any pool") {
    CHECK(config_of(kPools).ready_when.empty());
    CHECK(config_of("ready_when = []\n" + kPools).ready_when.empty());
}

TEST_CASE("ready_when names pools, in whatever order") {
    CHECK(config_of("ready_when = \"pool:db\"\n" + kPools).ready_when == Indexes{1});
    CHECK(config_of("ready_when = [\"pool:rest\", \"pool:web\"]\n" + kPools).ready_when == Indexes{2, 0});
}

TEST_CASE("what ready_when names must be a pool that there is") {
    CHECK(
        mistakes_in("ready_when = [\"pool:wbe\", \"web\", \"pol:db\", \"server:s\", \"pool:\", \"\"]\n" +
                    kPools) ==
        Strings{"t:1:15: there is no pool \"wbe\"; did you mean \"web\"?",
                "t:1:27: \"ready_when\" must hold a pool such as \"pool:web\", not \"web\"; did you mean "
                "\"pool:web\"?",
                "t:1:34: \"ready_when\" must hold a pool such as \"pool:web\", not \"pol:db\"; did you mean "
                "\"pool:db\"?",
                "t:1:44: \"ready_when\" must hold a pool such as \"pool:web\", not \"server:s\"",
                "t:1:56: there is no pool \"\"",
                "t:1:65: \"ready_when\" must hold a pool such as \"pool:web\", not \"\""});
    CHECK(mistakes_in("ready_when = [\"pool:web\", \"pool:web\"]\n" + kPools) ==
          Strings{"t:1:27: \"pool:web\" is in this list already"});
    CHECK(mistakes_in("ready_when = [1]\n" + kPools) ==
          Strings{"t:1:15: \"ready_when\" must hold strings, not a number"});
}

TEST_CASE("ready_when below a table is told where it belongs") {
    CHECK(mistakes_in("[log]\nready_when = \"pool:web\"\n" + kPools) ==
          Strings{
              "t:2:1: unknown key \"log.ready_when\"; \"ready_when\" belongs above the first [table] of the "
              "file"});
    CHECK(mistakes_in("redy_when = \"pool:web\"\n" + kPools) ==
          Strings{"t:1:1: unknown key \"redy_when\"; did you mean \"ready_when\"?"});
}

TEST_CASE("a pool whose name cannot be read may be the one that ready_when means") {
    CHECK(mistakes_in("ready_when = \"pool:shop\"\n[[pool]]\nnaem = \"shop\"\n[[pool.server]]\nname = \"s\"\n"
                      "address = \"s:1\"\n") ==
          Strings{"t:3:1: unknown key \"pool.naem\"; did you mean \"name\"?"});
}

}  // namespace
}  // namespace palier::config
