#include "config/load_fixture.h"

namespace palier::config {
namespace {

TEST_CASE("a syntax error is one sentence with its place") {
    CHECK(mistakes_in("node = \"a\"\nworkers = = 2\n") ==
          Strings{"t:2:11: this is not a value; a string needs double quotes"});
    CHECK(mistakes_in("node = srv1\n") ==
          Strings{"t:1:8: this is not a value; a string needs double quotes"});
    CHECK(mistakes_in("workers =\n") == Strings{"t:1:10: a value is missing after \"=\""});
    CHECK(mistakes_in("[log]\nlevel \"info\"\n") == Strings{"t:2:7: \"=\" is missing after the key"});
    CHECK(
        mistakes_in("node = \"srv1\n") ==
        Strings{
            "t:1:8: the string has no end, or a \"\\\" that means nothing; write \"\\\\\" for a backslash"});
    CHECK(
        mistakes_in("node = \"a\\q\"\n") ==
        Strings{
            "t:1:8: the string has no end, or a \"\\\" that means nothing; write \"\\\\\" for a backslash"});
    CHECK(mistakes_in("[timeouts]\nconnect = 3s\n") ==
          Strings{"t:2:12: the line must end after the number; values such as \"2s\", \"64KiB\" or "
                  "\"10.0.0.1:80\" are "
                  "strings in double quotes"});
    CHECK(mistakes_in("workers = 2 node = \"a\"\n") ==
          Strings{"t:1:13: the line must end after the value; a string needs double quotes"});
    CHECK(mistakes_in("trusted_proxies = [\"a\" \"b\"]\n") ==
          Strings{"t:1:24: \",\" is missing between two values"});
    CHECK(mistakes_in("[[route]\n") == Strings{"t:1:1: this is neither a key nor the header of a table"});
    CHECK(mistakes_in("server node = 1\n") ==
          Strings{"t:1:8: this cannot be part of a key; \"=\" is expected after one word"});
    CHECK(mistakes_in("node = \"\xff\"\n") == Strings{"t:1:9: the text is not UTF-8"});
}

TEST_CASE("a key that is set twice names the first place") {
    CHECK(mistakes_in("workers = 1\nnode = \"a\"\nworkers = 2\n") ==
          Strings{"t:3:11: \"workers\" is set twice; the first time in line 1"});
    CHECK(mistakes_in("[log]\n[timeouts]\n[log]\n") ==
          Strings{"t:3:1: \"log\" is set twice; the first time in line 1"});
    CHECK(mistakes_in("[pool]\n") ==
          Strings{"t:9:1: this table conflicts with line 1, where its name has another kind of value"});
}

TEST_CASE("what follows a bad line is checked all the same") {
    CHECK(
        mistakes_in("[timeouts]\nconnect = 3s\nserver = \"60\"\ntunel = \"1h\"\nclient_idle = 75s\n") ==
        Strings{
            "t:2:12: the line must end after the number; values such as \"2s\", \"64KiB\" or \"10.0.0.1:80\" "
            "are "
            "strings in double quotes",
            "t:3:10: \"timeouts.server\" must be a duration such as \"250ms\", \"2s\", \"5m\" or \"1h\", not "
            "\"60\": the unit is missing",
            "t:4:1: unknown key \"timeouts.tunel\"; did you mean \"tunnel\"?",
            "t:5:17: the line must end after the number; values such as \"2s\", \"64KiB\" or \"10.0.0.1:80\" "
            "are "
            "strings in double quotes"});
}

TEST_CASE("what a bad line hides is not called missing, what it cannot hide is") {
    CHECK(mistakes_in("node = srv1\n[[route]]\npool = \"rset\"\n").size() == 2);
    CHECK(
        mistakes_in_all(
            "[[listener]]\nname = http\naddress = 127.0.0.1:80\n[[route]]\nlistener = \"http\"\npool = web\n")
            .size() == 3);
    CHECK(mistakes_in("[[listener]\nname = \"http\"\n").size() == 1);
}

TEST_CASE("a list without end is one mistake") {
    const Strings found = mistakes_in("trusted_proxies = [\"10.0.0.0/8\",\nnode = \"a\"\nworkers = 1\n");
    CHECK(found ==
          Strings{"t:2:1: this is not a value, or the \"]\" of a list is missing (it starts in line 1)"});
}

TEST_CASE("bytes that are no text end in a mistake, not in a crash") {
    CHECK(mistakes_in(std::string("\0\n", 2)).size() == 1);
    CHECK_FALSE(mistakes_in("\x1b[31m = 1\n").empty());
}

}  // namespace
}  // namespace palier::config
