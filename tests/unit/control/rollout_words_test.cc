#include "control/rollout_words.h"

#include "catch.h"

using namespace palier::control;

namespace {

const RolloutPlace kPlace{"web", "front1", "10.0.0.11:8080", "srv1"};

std::vector<std::string> words(std::string_view command) {
    auto split = split_words(command);
    return split ? *split : std::vector<std::string>{"fault: " + split.error().message};
}

}  // namespace

TEST_CASE("a command's words are those of a shell") {
    using Words = std::vector<std::string>;
    CHECK(words("deploy.sh front1") == Words{"deploy.sh", "front1"});
    CHECK(words("  a   b  ") == Words{"a", "b"});
    CHECK(words(R"(a "b c" 'd "e' f\ g)") == Words{"a", "b c", "d \"e", "f g"});
    CHECK(words(R"(a "say \"hi\" \\ \n" '\')") == Words{"a", R"(say "hi" \ \n)", "\\"});
    CHECK(words(R"(a --x="b c"d "" '')") == Words{"a", "--x=b cd", "", ""});
    CHECK(words(R"(a \)") == Words{"a", "\\"});
}

TEST_CASE("a command that cannot be run as it stands is refused") {
    CHECK(words("a \"b") == std::vector<std::string>{"fault: a quote is never closed"});
    CHECK(words("a 'b") == std::vector<std::string>{"fault: a quote is never closed"});
    CHECK(words("") == std::vector<std::string>{"fault: it names no program"});
    CHECK(words("  ") == std::vector<std::string>{"fault: it names no program"});
    CHECK(words("'' x") == std::vector<std::string>{"fault: it names no program"});
    CHECK(words("a {adress}") ==
          std::vector<std::string>{"fault: there is no {adress}; did you mean {address}?"});
    CHECK(words("awk {print} {{.ID}} {").size() == 4);
}

TEST_CASE("placeholders are filled in, and nothing else is") {
    CHECK(filled("{server}@{address}/{node}/{pool}", kPlace) == "front1@10.0.0.11:8080/srv1/web");
    CHECK(filled("{{server}} {servers} {x {pool} }", kPlace) == "{front1} {servers} {x web }");
    CHECK(filled("{", kPlace) == "{");
    CHECK(filled("}{", kPlace) == "}{");
    // A value is never looked into.
    CHECK(filled("{server}", {"web", "{pool}", "", ""}) == "{pool}");
}

TEST_CASE("for a shell, a value cannot be more than a value") {
    CHECK(filled_for_shell("do {server} {address}", kPlace) == "do front1 10.0.0.11:8080");
    CHECK(filled_for_shell("do {server} {node}", {"web", "a b;c$(d)'e", "", ""}) ==
          R"(do 'a b;c$(d)'\''e' '')");
    CHECK(filled_for_shell("{address}", {"web", "f", "[::1]:80", ""}) == "'[::1]:80'");
}
