#include "palier/base/clock.h"

#include <chrono>
#include <cstring>

#include <time.h>

namespace palier::base {
namespace {

constexpr std::uint64_t kResyncMs = 1000;

constexpr std::string_view kWeekdays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

timespec read_clock(clockid_t id) {
    timespec time{};
    ::clock_gettime(id, &time);
    return time;
}

std::uint64_t milliseconds(const timespec& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1000 +
           static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000;
}

/// UTC, without the locks of gmtime().
struct CivilTime {
    unsigned year, month, day, weekday, hour, minute, second;

    explicit CivilTime(std::uint64_t unix_seconds) {
        using namespace std::chrono;
        const sys_seconds time{seconds{static_cast<std::int64_t>(unix_seconds)}};
        const sys_days date = floor<days>(time);
        const year_month_day calendar{date};
        year = static_cast<unsigned>(static_cast<int>(calendar.year()));
        month = static_cast<unsigned>(calendar.month());
        day = static_cast<unsigned>(calendar.day());
        weekday = std::chrono::weekday{date}.c_encoding();
        const auto of_day = static_cast<unsigned>((time - date).count());
        hour = of_day / 3600;
        minute = of_day / 60 % 60;
        second = of_day % 60;
    }
};

/// `value` in exactly `digits` places.
char* put_digits(char* out, unsigned value, unsigned digits) {
    for (unsigned place = digits; place > 0; --place) {
        out[place - 1] = static_cast<char>('0' + value % 10);
        value /= 10;
    }
    return out + digits;
}

char* put_text(char* out, std::string_view text) {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

/// "23:25:01"
char* put_time_of_day(char* out, const CivilTime& time) {
    out = put_digits(out, time.hour, 2);
    *out++ = ':';
    out = put_digits(out, time.minute, 2);
    *out++ = ':';
    return put_digits(out, time.second, 2);
}

std::string_view name_in(std::string_view names, unsigned index) {
    return names.substr(index * 3, 3);
}

}  // namespace

std::uint64_t monotonic_ms() {
    return milliseconds(read_clock(CLOCK_MONOTONIC));
}

std::uint64_t monotonic_us() {
    const timespec time = read_clock(CLOCK_MONOTONIC);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec) / 1000;
}

std::int64_t wall_offset_ms() {
    const std::uint64_t monotonic = monotonic_ms();
    return static_cast<std::int64_t>(milliseconds(read_clock(CLOCK_REALTIME)) - monotonic);
}

void WallClock::resync(std::uint64_t monotonic_ms) {
    offset_ = offset_source_();
    resync_at_ = monotonic_ms + kResyncMs;
}

std::string_view WallClock::iso8601() {
    if (iso_ms_ != now_ms_) {
        iso_ms_ = now_ms_;
        if (iso_second_ != now_ms_ / 1000) {
            iso_second_ = now_ms_ / 1000;
            const CivilTime time(iso_second_);
            char* out = put_digits(iso_.data(), time.year, 4);
            *out++ = '-';
            out = put_digits(out, time.month, 2);
            *out++ = '-';
            out = put_digits(out, time.day, 2);
            *out++ = 'T';
            out = put_time_of_day(out, time);
            put_text(out, ".000Z");
        }
        put_digits(iso_.data() + 20, static_cast<unsigned>(now_ms_ % 1000), 3);
    }
    return {iso_.data(), iso_.size()};
}

std::string_view WallClock::http_date() {
    if (http_second_ != now_ms_ / 1000) {
        http_second_ = now_ms_ / 1000;
        const CivilTime time(http_second_);
        char* out = put_text(http_.data(), name_in(kWeekdays, time.weekday));
        out = put_text(out, ", ");
        out = put_digits(out, time.day, 2);
        *out++ = ' ';
        out = put_text(out, name_in(kMonths, time.month - 1));
        *out++ = ' ';
        out = put_digits(out, time.year, 4);
        *out++ = ' ';
        out = put_time_of_day(out, time);
        put_text(out, " GMT");
    }
    return {http_.data(), http_.size()};
}

std::string_view WallClock::clf() {
    if (clf_second_ != now_ms_ / 1000) {
        clf_second_ = now_ms_ / 1000;
        const CivilTime time(clf_second_);
        char* out = put_digits(clf_.data(), time.day, 2);
        *out++ = '/';
        out = put_text(out, name_in(kMonths, time.month - 1));
        *out++ = '/';
        out = put_digits(out, time.year, 4);
        *out++ = ':';
        out = put_time_of_day(out, time);
        put_text(out, " +0000");
    }
    return {clf_.data(), clf_.size()};
}

}  // namespace palier::base
