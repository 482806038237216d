#include "palier/config/units.h"

#include "catch.h"

namespace palier::config {
namespace {

TEST_CASE("durations are a whole number and a unit") {
    CHECK(parse_duration("250ms").value() == Duration(250));
    CHECK(parse_duration("2s").value() == Duration(2'000));
    CHECK(parse_duration("5m").value() == Duration(300'000));
    CHECK(parse_duration("1h").value() == Duration(3'600'000));
    CHECK(parse_duration("365d").value() == std::chrono::days(365));
    CHECK(parse_duration("0s").value() == Duration(0));
}

TEST_CASE("other durations are refused") {
    for (const char* text :
         {"", "s", "1w", "1.5s", "-1s", "+1s", "2 s", " 2s", "2s ", "2S", "1h30m", "3 parsecs"}) {
        INFO(text);
        CHECK_FALSE(parse_duration(text));
    }
    CHECK(parse_duration("30").error().message == "\"30\": the unit is missing");
    CHECK(parse_duration("99999999999999999999s").error().message ==
          "\"99999999999999999999s\", which is too much");
    CHECK(parse_duration("9999999999999999h").error().message == "\"9999999999999999h\", which is too much");
}

TEST_CASE("sizes are a whole number and a binary unit or none") {
    CHECK(parse_size("0").value() == 0);
    CHECK(parse_size("1024").value() == 1024);
    CHECK(parse_size("7B").value() == 7);
    CHECK(parse_size("64KiB").value() == 65'536);
    CHECK(parse_size("3MiB").value() == 3'145'728);
    CHECK(parse_size("1GiB").value() == 1'073'741'824);
    CHECK(parse_size("2TiB").value() == 2'199'023'255'552);
}

TEST_CASE("decimal and short units of size are refused with what was meant") {
    CHECK(parse_size("64KB").error().message == "\"64KB\"; did you mean \"64KiB\"?");
    CHECK(parse_size("64k").error().message == "\"64k\"; did you mean \"64KiB\"?");
    CHECK(parse_size("1MB").error().message == "\"1MB\"; did you mean \"1MiB\"?");
    CHECK(parse_size("1G").error().message == "\"1G\"; did you mean \"1GiB\"?");
    CHECK(parse_size("1x").error().message == "\"1x\"");
    CHECK(parse_size("-1").error().message == "\"-1\"");
    CHECK_FALSE(parse_size("1.5MiB"));
    CHECK(parse_size("9999999999999TiB").error().message == "\"9999999999999TiB\", which is too much");
}

TEST_CASE("durations and sizes are written in their largest whole unit") {
    CHECK(to_text(Duration(0)) == "0s");
    CHECK(to_text(Duration(250)) == "250ms");
    CHECK(to_text(Duration(90'000)) == "90s");
    CHECK(to_text(kLongest) == "7d");
    CHECK(size_to_text(0) == "0");
    CHECK(size_to_text(1000) == "1000B");
    CHECK(size_to_text(1024) == "1KiB");
    CHECK(size_to_text(1 << 20) == "1MiB");
}

}  // namespace
}  // namespace palier::config
