#include "palier/control/command_line.h"

#include "catch.h"

namespace palier::control {
namespace {

std::string fault_of(std::string_view line) {
    const auto request = parse_line(line);
    return request ? "" : request.error().message;
}

TEST_CASE("a line is a command, words and options in any order") {
    const auto request = parse_line("drain web/front1 wait=30s web/front2 reason=");
    REQUIRE(request);
    CHECK(request->command == "drain");
    CHECK(request->words == std::vector<std::string>{"web/front1", "web/front2"});
    CHECK(request->options.size() == 2);
    CHECK(request->option("wait") == "30s");
    CHECK(request->has("reason"));
    CHECK(request->option("reason").empty());
    CHECK_FALSE(request->has("ttl"));
}

TEST_CASE("blank lines ask for nothing, and spaces may be many") {
    for (const std::string_view line : {"", " ", "    "}) {
        const auto request = parse_line(line);
        REQUIRE(request);
        CHECK(request->command.empty());
    }
    const auto request = parse_line("  pools   web  ");
    REQUIRE(request);
    CHECK(request->command == "pools");
    CHECK(request->words == std::vector<std::string>{"web"});
}

TEST_CASE("quotes hold spaces anywhere in a word, with two escapes") {
    const auto request =
        parse_line(R"(rollout "" we"b po"ol run="deploy.sh {server} \"now\" C:\\" x\y "a b"c)");
    REQUIRE(request);
    CHECK(request->words == std::vector<std::string>{"", "web pool", "x\\y", "a bc"});
    CHECK(request->option("run") == R"(deploy.sh {server} "now" C:\)");
}

TEST_CASE("only a key of a-z and _ makes a word an option") {
    const auto request = parse_line("x =a A=b a1=c a-b=d a_b=e=f ttl=");
    REQUIRE(request);
    CHECK(request->words == std::vector<std::string>{"=a", "A=b", "a1=c", "a-b=d"});
    CHECK(request->options.size() == 2);
    CHECK(request->option("a_b") == "e=f");
}

TEST_CASE("what is wrong is said with its column, in characters") {
    CHECK(fault_of("drain \"web") == "column 7: the quote is never closed");
    CHECK(fault_of("drain web\"") == "column 10: the quote is never closed");
    CHECK(fault_of("drain \"web\\\"") == "column 7: the quote is never closed");
    CHECK(fault_of("drain \"web\\") == "column 11: in quotes, \\ goes before \" or \\ only");
    CHECK(fault_of("drain \"a\\nb\"") == "column 9: in quotes, \\ goes before \" or \\ only");
    CHECK(fault_of("dr\tain") == "column 3: a control character");
    CHECK(fault_of("status\r") == "column 7: a control character");
    CHECK(fault_of("a \"\x1b[2J\"") == "column 4: a control character");
    CHECK(fault_of(std::string_view("a \0", 3)) == "column 3: a control character");
    CHECK(fault_of("a \xc2\x9b") == "column 3: a control character");
    CHECK(fault_of("d\xc3\xa9j\xc3\xa0 \xff") == "column 6: byte 0xff is no UTF-8");
    CHECK(fault_of("x \xc3") == "column 3: byte 0xc3 is no UTF-8");
    CHECK(fault_of("drain a=1 b=2  a=3") == "column 16: a= is there twice");
    CHECK(fault_of(" wait=30s drain") == "column 2: a line begins with its command");
    CHECK(fault_of("\"\" x") == "column 1: a line begins with its command");
}

TEST_CASE("words are quoted where a line would take them apart") {
    CHECK(quoted("web/front1") == "web/front1");
    CHECK(quoted("") == R"("")");
    CHECK(quoted("a b") == R"("a b")");
    CHECK(quoted(R"(a\b)") == R"(a\b)");
    CHECK(quoted(R"(a\ "b)") == R"("a\\ \"b")");
    CHECK(quoted("reason=new kernel") == R"(reason="new kernel")");
    CHECK(quoted("reason=") == R"(reason="")");
    CHECK(quoted("a=b=c d") == R"(a="b=c d")");
}

TEST_CASE("the line of a request parses to the same request") {
    for (const std::string_view line :
         {R"(drain web/front1 reason="a \"b\" \\ c" wait=)", R"("odd command" "" "=x y" k="=")",
          R"(x a\b c\)", "d\xc3\xa9j\xc3\xa0 vu=\xe2\x82\xac"}) {
        const auto request = parse_line(line);
        REQUIRE(request);
        const auto again = parse_line(line_of(*request));
        REQUIRE(again);
        CHECK(again->command == request->command);
        CHECK(again->words == request->words);
        CHECK(again->options == request->options);
    }
}

}  // namespace
}  // namespace palier::control
