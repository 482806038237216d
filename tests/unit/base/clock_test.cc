#include "palier/base/clock.h"

#include "catch.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

#include <time.h>

using namespace palier::base;

namespace {

std::int64_t test_offset = 0;
int offset_reads = 0;

std::int64_t read_test_offset() {
    ++offset_reads;
    return test_offset;
}

/// What libc writes for the same moment.
std::string libc_text(const char* format, std::uint64_t unix_seconds) {
    const auto seconds = static_cast<time_t>(unix_seconds);
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace

TEST_CASE("the monotonic clocks agree and do not go back") {
    const std::uint64_t ms = monotonic_ms();
    const std::uint64_t us = monotonic_us();
    const std::uint64_t later_ms = monotonic_ms();
    CHECK(us / 1000 >= ms);
    CHECK(us / 1000 <= later_ms);
}

TEST_CASE("the wall clock tells the system's time") {
    WallClock clock;
    const auto before = static_cast<std::uint64_t>(::time(nullptr));
    clock.update(monotonic_ms());
    const auto after = static_cast<std::uint64_t>(::time(nullptr));
    // time() may lag a tick behind; the offset is known to a millisecond.
    CHECK(clock.unix_ms() + 2 >= before * 1000);
    CHECK(clock.unix_ms() < (after + 1) * 1000 + 20);
}

TEST_CASE("the wall clock's three texts") {
    test_offset = 1'795'217'101'123;
    WallClock clock(read_test_offset);
    clock.update(0);
    CHECK(clock.unix_ms() == 1'795'217'101'123);
    CHECK(clock.iso8601() == "2026-11-20T23:25:01.123Z");
    CHECK(clock.http_date() == "Fri, 20 Nov 2026 23:25:01 GMT");
    CHECK(clock.clf() == "20/Nov/2026:23:25:01 +0000");
}

TEST_CASE("texts follow the time, within and across seconds") {
    test_offset = 1'795'217'101'123;
    WallClock clock(read_test_offset);
    clock.update(0);
    CHECK(clock.iso8601() == "2026-11-20T23:25:01.123Z");
    clock.update(4);
    CHECK(clock.iso8601() == "2026-11-20T23:25:01.127Z");
    CHECK(clock.http_date() == "Fri, 20 Nov 2026 23:25:01 GMT");
    clock.update(877);
    CHECK(clock.iso8601() == "2026-11-20T23:25:02.000Z");
    CHECK(clock.http_date() == "Fri, 20 Nov 2026 23:25:02 GMT");
    CHECK(clock.clf() == "20/Nov/2026:23:25:02 +0000");
    clock.update(35 * 60'000);
    CHECK(clock.iso8601() == "2026-11-21T00:00:01.123Z");
    CHECK(clock.http_date() == "Sat, 21 Nov 2026 00:00:01 GMT");
}

TEST_CASE("the system's clock is asked once a second, and followed when it is set") {
    test_offset = 1'000'000'000'000;
    offset_reads = 0;
    WallClock clock(read_test_offset);
    for (std::uint64_t ms = 5000; ms < 6000; ++ms)
        clock.update(ms);
    CHECK(offset_reads == 1);
    test_offset -= 3'600'000;
    clock.update(5999);
    CHECK(clock.unix_ms() == 1'000'000'005'999);
    clock.update(6000);
    CHECK(offset_reads == 2);
    CHECK(clock.unix_ms() == 999'996'406'000);
    CHECK(clock.iso8601() == "2001-09-09T00:46:46.000Z");
}

TEST_CASE("dates agree with libc's from 1970 to 9999") {
    ::setenv("TZ", "UTC", 1);
    std::mt19937_64 random(1);  // NOLINT: the same dates each time
    std::uniform_int_distribution<std::uint64_t> seconds(0, 253'402'300'799);
    for (int i = 0; i < 5000; ++i) {
        const std::uint64_t moment =
            i < 3 ? std::array<std::uint64_t, 3>{0, 951'782'400, 253'402'300'799}[static_cast<std::size_t>(i)]
                  : seconds(random);
        test_offset = static_cast<std::int64_t>(moment * 1000);
        WallClock clock(read_test_offset);
        clock.update(0);
        REQUIRE(clock.iso8601() == libc_text("%Y-%m-%dT%H:%M:%S.000Z", moment));
        REQUIRE(clock.http_date() == libc_text("%a, %d %b %Y %H:%M:%S GMT", moment));
        REQUIRE(clock.clf() == libc_text("%d/%b/%Y:%H:%M:%S +0000", moment));
    }
}
