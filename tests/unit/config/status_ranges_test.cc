#include "config/status_ranges.h"

#include "config/load_fixture.h"

#include <fmt/format.h>

namespace palier::config {
namespace {

using Ranges = std::vector<StatusRange>;

TEST_CASE("statuses and ranges of them") {
    CHECK(parse_status_range("204") == StatusRange{204, 204});
    CHECK(parse_status_range("200-399") == StatusRange{200, 399});
    CHECK(parse_status_range("200-200") == StatusRange{200, 200});
    CHECK(parse_status_range("599") == StatusRange{599, 599});
}

TEST_CASE("what is no status of a final response") {
    for (const char* text :
         {"", "-", "200-", "-200", "199", "600", "200-600", "100-200", "2000", "+200", " 200", "200 - 300",
          "0x200", "200-300-400", "65736", "4294967496", "99999999999999999999", "ok"}) {
        const auto range = parse_status_range(text);
        INFO(text);
        REQUIRE_FALSE(range);
        CHECK(range.error().message.empty());
    }
}

TEST_CASE("what was meant by a range") {
    CHECK(parse_status_range("2xx").error().message == "200-299");
    CHECK(parse_status_range("5XX").error().message == "500-599");
    CHECK(parse_status_range("1xx").error().message.empty());
    CHECK(parse_status_range("6xx").error().message.empty());
    CHECK(parse_status_range("399-200").error().message == "200-399");
}

/// The keys of a pool with one server; those of pool.outlier begin in line 4.
std::string outlier(const std::string& keys) {
    return fmt::format(
        "[[pool]]\nname = \"p\"\n[pool.outlier]\n{}\n[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n",
        keys);
}

Ranges statuses_of(const std::string& value) {
    return config_of(outlier("statuses = " + value)).pools[0].outlier.statuses;
}

TEST_CASE("a key's statuses are a string, a number or a list") {
    CHECK(statuses_of("\"502\"") == Ranges{{502, 502}});
    CHECK(statuses_of("502") == Ranges{{502, 502}});
    CHECK(statuses_of("[502, \"500-599\", 429]") == Ranges{{502, 502}, {500, 599}, {429, 429}});
    CHECK(statuses_of("[]").empty());
    const Variable variable("PALIER_TEST_STATUS", "503-504");
    CHECK(statuses_of("\"${PALIER_TEST_STATUS}\"") == Ranges{{503, 504}});
}

TEST_CASE("each wrong status is reported where it stands") {
    CHECK(mistakes_in(outlier("statuses = [\"5xx\", 600, \"599-500\", true, 502, \"\"]")) ==
          Strings{"t:4:13: \"pool.outlier.statuses\" must hold statuses from 200 to 599, such as \"204\" or "
                  "\"200-399\", not \"5xx\"; did you mean \"500-599\"?",
                  "t:4:20: \"pool.outlier.statuses\" must hold statuses from 200 to 599, such as \"204\" or "
                  "\"200-399\", not 600",
                  "t:4:25: \"pool.outlier.statuses\" must hold statuses from 200 to 599, such as \"204\" or "
                  "\"200-399\", not \"599-500\"; did you mean \"500-599\"?",
                  "t:4:36: \"pool.outlier.statuses\" must hold statuses, not true or false",
                  "t:4:47: \"pool.outlier.statuses\" must hold statuses from 200 to 599, such as \"204\" or "
                  "\"200-399\", not \"\""});
    CHECK(mistakes_in(outlier("statuses = -502")) ==
          Strings{"t:4:12: \"pool.outlier.statuses\" must hold statuses from 200 to 599, such as \"204\" or "
                  "\"200-399\", not -502"});
    CHECK(mistakes_in(outlier("statuses = true")) ==
          Strings{"t:4:12: \"pool.outlier.statuses\" must be a status, a range such as \"200-399\" or a list "
                  "of them, not true or false"});
    CHECK(mistakes_in(outlier("statuses = \"${PALIER_TEST_UNSET}\"")).size() == 1);
    CHECK(mistakes_in(outlier("statuses = [\"${PALIER_TEST_UNSET}\"]")).size() == 1);
}

}  // namespace
}  // namespace palier::config
