#include "control/stamp.h"

#include "catch.h"

namespace palier::control {
namespace {

using nlohmann::json;

TEST_CASE("times are RFC 3339, there and back") {
    CHECK(time_text(0) == "1970-01-01T00:00:00.000Z");
    CHECK(time_text(1'795'217'101'123) == "2026-11-20T23:25:01.123Z");
    CHECK(time_text(951'782'400'000) == "2000-02-29T00:00:00.000Z");
    for (const std::int64_t ms : {std::int64_t{0}, std::int64_t{999}, std::int64_t{1'795'217'101'123},
                                  std::int64_t{253'402'300'799'999}})
        CHECK(parse_time(time_text(ms)) == ms);
    CHECK(time_text(-1) == "1970-01-01T00:00:00.000Z");
    CHECK(time_text(INT64_MAX) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("a time's fraction may be missing or finer") {
    CHECK(parse_time("1970-01-01T00:00:01Z") == 1000);
    CHECK(parse_time("1970-01-01T00:00:01.5Z") == 1500);
    CHECK(parse_time("1970-01-01T00:00:01.123456789Z") == 1123);
}

TEST_CASE("what is no time is none") {
    for (const char* text :
         {"", "Z", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00.Z",
          "1970-01-01T00:00:00.1234567890Z", "1970-01-01T00:00:00.12xZ", "1970-13-01T00:00:00Z",
          "1970-02-29T00:00:00Z", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:60Z",
          "1969-12-31T23:59:59Z", "-970-01-01T00:00:00Z", "1970-01-01 00:00:00Z", "1970-1-01T00:00:00Z",
          "1970-01-01T00:00:00ZZ", "+1970-01-01T00:00:00Z"}) {
        INFO(text);
        CHECK_FALSE(parse_time(text));
    }
}

Stamp whole() {
    return {.uid = 4'294'967'295U,
            .pid = 2'147'483'647,
            .by = "anna",
            .reason = "new \"kernel\" \u00e9",
            .at_ms = 1'795'217'101'123,
            .until_ms = 1'795'217'102'000};
}

TEST_CASE("a stamp's JSON is read back") {
    CHECK(stamp_in(json_of(whole())) == whole());
    Stamp endless = whole();
    endless.until_ms.reset();
    CHECK(json_of(endless)["until"].is_null());
    CHECK(stamp_in(json_of(endless)) == endless);
}

TEST_CASE("a stamp may lack texts and an end, and nothing else") {
    const json least{{"uid", 0}, {"pid", 1}, {"at", "1970-01-01T00:00:01Z"}};
    CHECK(stamp_in(least) ==
          Stamp{.uid = 0, .pid = 1, .by = "", .reason = "", .at_ms = 1000, .until_ms = {}});
    for (const char* key : {"uid", "pid", "at"}) {
        json lacking = least;
        lacking.erase(key);
        INFO(key);
        CHECK_FALSE(stamp_in(lacking));
    }
}

TEST_CASE("a stamp of wrong types or out of range is told by its key") {
    const auto error_with = [](const char* key, const json& value) {
        json object = json_of(whole());
        object[key] = value;
        const auto stamp = stamp_in(object);
        return stamp ? std::string("none") : stamp.error().message;
    };
    CHECK(error_with("uid", -1) == "\"uid\" is missing or no number");
    CHECK(error_with("uid", 4'294'967'296) == "\"uid\" is missing or no number");
    CHECK(error_with("uid", 1.5) == "\"uid\" is missing or no number");
    CHECK(error_with("pid", 2'147'483'648) == "\"pid\" is missing or no number");
    CHECK(error_with("pid", "1") == "\"pid\" is missing or no number");
    CHECK(error_with("by", 1) == "\"by\" is no text");
    CHECK(error_with("reason", json::array()) == "\"reason\" is no text");
    CHECK(error_with("at", 0) == "\"at\" is no time");
    CHECK(error_with("until", "tomorrow") == "\"until\" is no time");
}

TEST_CASE("a stamp in words") {
    CHECK(text_of(whole()) ==
          "since 2026-11-20T23:25:01.123Z until 2026-11-20T23:25:02.000Z by anna (uid 4294967295, pid "
          "2147483647): new \"kernel\" \u00e9");
    CHECK(text_of(Stamp{}) == "since 1970-01-01T00:00:00.000Z by uid 0, pid 0");
}

}  // namespace
}  // namespace palier::control
