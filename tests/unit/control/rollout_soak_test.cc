#include "control/rollout_soak.h"

#include "catch.h"

using namespace palier;
using namespace palier::control;

namespace {

/// `answers` exchanges that took `ms` each, of which `failures` failed.
SoakCounts counts(std::uint64_t answers, std::uint64_t failures, std::uint64_t ms) {
    return {.ended = answers, .failures = failures, .answers = answers, .response_us = answers * ms * 1000};
}

}  // namespace

TEST_CASE("a server that fails more than the others fails its soak") {
    CHECK(soak_fault(counts(20, 2, 10), counts(100, 0, 10)) ==
          "10 % of its 20 exchanges failed, against 0 % of the others' 100");
    CHECK(soak_fault(counts(100, 5, 10), counts(100, 0, 10)).empty());
    CHECK_FALSE(soak_fault(counts(100, 6, 10), counts(100, 0, 10)).empty());
    // They all fail: the update is not to blame.
    CHECK(soak_fault(counts(100, 14, 10), counts(100, 10, 10)).empty());
    CHECK_FALSE(soak_fault(counts(100, 16, 10), counts(100, 10, 10)).empty());
    // Without others to speak of, none is too few.
    CHECK_FALSE(soak_fault(counts(100, 50, 10), counts(19, 19, 10)).empty());
    // Too little traffic says nothing.
    CHECK(soak_fault(counts(19, 19, 10), counts(100, 0, 10)).empty());
}

TEST_CASE("a server that is much slower than the others fails its soak") {
    CHECK(soak_fault(counts(20, 0, 500), counts(20, 0, 100)) ==
          "it takes 500 ms to answer, the others 100 ms");
    CHECK(soak_fault(counts(20, 0, 300), counts(20, 0, 100)).empty());
    CHECK(soak_fault(counts(20, 0, 101), counts(20, 0, 1)).empty());  // 100 ms more at least
    CHECK_FALSE(soak_fault(counts(20, 0, 102), counts(20, 0, 1)).empty());
    CHECK(soak_fault(counts(19, 0, 5'000), counts(20, 0, 1)).empty());
    CHECK(soak_fault(counts(20, 0, 5'000), counts(19, 0, 1)).empty());
    CHECK(soak_fault({}, {}).empty());
}

TEST_CASE("what counts is what came since the soak began") {
    SoakCounts sum;
    sum.add({.ended = 100, .failures = 90, .answers = 50, .response_us = 7},
            {.ended = 110, .failures = 92, .answers = 55, .response_us = 10});
    CHECK(sum.ended == 10);
    CHECK(sum.failures == 2);
    CHECK(sum.answers == 5);
    CHECK(sum.response_us == 3);
    // Failures may be known before their exchanges have ended.
    sum.add({.ended = 0, .failures = 0}, {.ended = 1, .failures = 30});
    CHECK(sum.ended == 40);
}
