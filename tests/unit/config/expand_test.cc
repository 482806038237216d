#include "config/expand.h"

#include "config/load_fixture.h"

namespace palier::config {
namespace {

TEST_CASE("variables are expanded anywhere in a string") {
    const Variable first("PALIER_TEST_A", "one");
    const Variable second("PALIER_TEST_B", "two");
    CHECK(expand("plain").value() == "plain");
    CHECK(expand("${PALIER_TEST_A}").value() == "one");
    CHECK(expand("<${PALIER_TEST_A}-${PALIER_TEST_B}>").value() == "<one-two>");
    CHECK(expand("a$b $ {c} }").value() == "a$b $ {c} }");
}

TEST_CASE("a default stands for an unset and for an empty variable") {
    const Variable empty("PALIER_TEST_EMPTY", "");
    CHECK(expand("${PALIER_TEST_UNSET:-x y}").value() == "x y");
    CHECK(expand("${PALIER_TEST_UNSET:-}").value().empty());
    CHECK(expand("${PALIER_TEST_EMPTY:-x}").value() == "x");
    CHECK(expand("${PALIER_TEST_EMPTY}").value().empty());
}

TEST_CASE("two dollars make a plain one before a brace") {
    CHECK(expand("$${HOME}").value() == "${HOME}");
    CHECK(expand("a$${b}c$${").value() == "a${b}c${");
}

TEST_CASE("a value is not expanded again") {
    const Variable nested("PALIER_TEST_NESTED", "${HOME}");
    CHECK(expand("${PALIER_TEST_NESTED}").value() == "${HOME}");
}

TEST_CASE("what cannot be expanded is an error") {
    CHECK(expand("${PALIER_TEST_UNSET}").error().message ==
          "the environment variable PALIER_TEST_UNSET is not set; \"${PALIER_TEST_UNSET:-…}\" would give a "
          "default");
    CHECK(expand("${HOME").error().message == "\"${\" has no \"}\"; write \"$${\" for a plain \"${\"");
    CHECK(expand("${}").error().message ==
          "\"${}\" is not an environment variable; write \"$${\" for a plain \"${\"");
    CHECK_FALSE(expand("${1A}"));
    CHECK_FALSE(expand("${A B}"));
}

TEST_CASE("an unset variable is one mistake, at its string") {
    CHECK(mistakes_in("node = \"${PALIER_TEST_UNSET}\"\n") ==
          Strings{"t:1:8: the environment variable PALIER_TEST_UNSET is not set; "
                  "\"${PALIER_TEST_UNSET:-…}\" would give a default"});
    CHECK(mistakes_in("[[pool]]\nname = \"${PALIER_TEST_UNSET}\"\n[[pool.server]]\nname = \"s\"\n"
                      "address = \"${PALIER_TEST_UNSET}\"\n")
              .size() == 2);
}

TEST_CASE("numbers and flags may come from variables") {
    const Variable number("PALIER_TEST_NUMBER", "3");
    const Config config = config_of(
        "workers = \"${PALIER_TEST_NUMBER}\"\n[[pool]]\nname = \"x\"\nprefer_local = "
        "\"${PALIER_TEST_FLAG:-false}\"\n"
        "[[pool.server]]\nname = \"s\"\naddress = \"s:${PALIER_TEST_NUMBER}\"\n");
    CHECK(config.workers == 3);
    CHECK_FALSE(config.pools[0].prefer_local);
    CHECK(config.pools[0].servers[0].address() == "s:3");
    CHECK(mistakes_in("workers = \"3\"\n") ==
          Strings{"t:1:11: \"workers\" must be a whole number, not a string"});
    CHECK(mistakes_in("workers = \"${PALIER_TEST_UNSET:-many}\"\n") ==
          Strings{"t:1:11: \"workers\" must be a whole number, not a string"});
}

}  // namespace
}  // namespace palier::config
