#include "config/load_fixture.h"

#include <fmt/format.h>

namespace palier::config {
namespace {

/// The keys begin in line 4.
std::string outlier(const std::string& keys) {
    return fmt::format(
        "[[pool]]\nname = \"p\"\n[pool.outlier]\n{}[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n", keys);
}

OutlierConfig outlier_of(const std::string& keys) {
    return config_of(outlier(keys)).pools[0].outlier;
}

TEST_CASE("what live traffic may show has defaults") {
    CHECK(outlier_of("") == OutlierConfig());
}

TEST_CASE("what live traffic may show is read") {
    CHECK(outlier_of("failures = 0\nbackoff = \"1s\"\nmax_ejected = 100\nerror_rate = 30\nwindow = \"1m\"\n"
                     "min_requests = 50\nstatuses = [\"502-504\"]\n") ==
          OutlierConfig{.failures = 0,
                        .backoff = Duration(1'000),
                        .max_ejected = 100,
                        .error_rate = 30,
                        .window = Duration(60'000),
                        .min_requests = 50,
                        .statuses = {{502, 504}}});
}

TEST_CASE("the bounds of what live traffic may show belong to it") {
    const OutlierConfig least = outlier_of(
        "failures = 0\nbackoff = \"1ms\"\nmax_ejected = 0\nerror_rate = 0\nwindow = \"100ms\"\n"
        "min_requests = 1\n");
    CHECK(least.window == Duration(100));
    CHECK(least.min_requests == 1);
    const OutlierConfig most = outlier_of(
        "failures = 1000000\nbackoff = \"7d\"\nmax_ejected = 100\nerror_rate = 100\nwindow = \"1h\"\n"
        "min_requests = 1000000\n");
    CHECK(most.failures == 1'000'000);
    CHECK(most.error_rate == 100);
    CHECK(most.window == Duration(3'600'000));
    CHECK(most.min_requests == 1'000'000);
}

TEST_CASE("values beyond them are mistakes") {
    CHECK(mistakes_in(outlier("failures = -1\nbackoff = \"0s\"\nmax_ejected = 101\nerror_rate = 101\n"
                              "window = \"99ms\"\nmin_requests = 0\n")) ==
          Strings{"t:4:12: \"pool.outlier.failures\" must be from 0 to 1000000, not -1",
                  "t:5:11: \"pool.outlier.backoff\" must be from \"1ms\" to \"7d\", not \"0s\"",
                  "t:6:15: \"pool.outlier.max_ejected\" must be from 0 to 100, not 101",
                  "t:7:14: \"pool.outlier.error_rate\" must be from 0 to 100, not 101",
                  "t:8:10: \"pool.outlier.window\" must be from \"100ms\" to \"1h\", not \"99ms\"",
                  "t:9:16: \"pool.outlier.min_requests\" must be from 1 to 1000000, not 0"});
    CHECK(mistakes_in(outlier("error_rate = \"5%\"\nwindow = \"61m\"\nmin_requests = 1000001\n")) ==
          Strings{"t:4:14: \"pool.outlier.error_rate\" must be a whole number, not a string",
                  "t:5:10: \"pool.outlier.window\" must be from \"100ms\" to \"1h\", not \"61m\"",
                  "t:6:16: \"pool.outlier.min_requests\" must be from 1 to 1000000, not 1000001"});
}

TEST_CASE("unknown and misplaced keys of pool.outlier") {
    CHECK(mistakes_in(outlier("eror_rate = 5\nstatus = [500]\nretries = 1\nmin_usable = 1\n")) ==
          Strings{"t:4:1: unknown key \"pool.outlier.eror_rate\"; did you mean \"error_rate\"?",
                  "t:5:1: unknown key \"pool.outlier.status\"; did you mean \"statuses\"?",
                  "t:6:1: \"retries\" belongs to [[pool]], above [pool.outlier]",
                  "t:7:1: \"min_usable\" belongs to [[pool]], above [pool.outlier]"});
}

}  // namespace
}  // namespace palier::config
