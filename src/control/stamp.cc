#include "control/stamp.h"

#include "palier/base/clock.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::int64_t kLatest = 253'402'300'799'999;  // the last millisecond of the year 9999

/// Moves past the number of exactly `digits` digits at the front of `text`, and past `end`.
std::optional<int> take(std::string_view& text, std::size_t digits, std::string_view end) {
    if (text.size() < digits) return std::nullopt;
    int number = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return std::nullopt;
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    if (!text.starts_with(end)) return std::nullopt;
    text.remove_prefix(end.size());
    return number;
}

/// The milliseconds of ".123" or "", which is all that is left before the "Z".
std::optional<int> take_fraction(std::string_view text) {
    if (text.empty()) return 0;
    text.remove_prefix(1);
    constexpr std::size_t kMostDigits = 9;
    if (text.empty() || text.size() > kMostDigits) return std::nullopt;
    int thousandths = 0;
    for (std::size_t i = 0; i < std::max<std::size_t>(text.size(), 3); ++i) {
        const char c = i < text.size() ? text[i] : '0';
        if (c < '0' || c > '9') return std::nullopt;
        if (i < 3) thousandths = thousandths * 10 + (c - '0');
    }
    return thousandths;
}

const nlohmann::json* find(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &*found;
}

base::Result<std::int64_t> time_in(const nlohmann::json& value, std::string_view key) {
    if (value.is_string()) {
        if (const auto time = parse_time(value.get_ref<const std::string&>())) return *time;
    }
    return base::failure(fmt::format("\"{}\" is no time", key));
}

template <typename Number>
base::Result<Number> number_in(const nlohmann::json& object, const char* key) {
    const nlohmann::json* value = find(object, key);
    if (value != nullptr) {
        if (const auto number = whole_number(*value); number && std::in_range<Number>(*number))
            return static_cast<Number>(*number);
    }
    return base::failure(fmt::format("\"{}\" is missing or no number", key));
}

base::Result<std::string> text_in(const nlohmann::json& object, const char* key) {
    const nlohmann::json* value = find(object, key);
    if (value == nullptr) return std::string();
    if (!value->is_string()) return base::failure(fmt::format("\"{}\" is no text", key));
    return value->get<std::string>();
}

}  // namespace

std::optional<std::int64_t> whole_number(const nlohmann::json& value) {
    if (value.is_number_unsigned()) {
        const auto number = value.get<std::uint64_t>();
        return std::in_range<std::int64_t>(number) ? std::optional(static_cast<std::int64_t>(number))
                                                   : std::nullopt;
    }
    return value.is_number_integer() ? std::optional(value.get<std::int64_t>()) : std::nullopt;
}

std::int64_t wall_ms() {
    return static_cast<std::int64_t>(base::monotonic_ms()) + base::wall_offset_ms();
}

std::string time_text(std::int64_t ms) {
    using namespace std::chrono;
    const sys_time<milliseconds> time{milliseconds(std::clamp<std::int64_t>(ms, 0, kLatest))};
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::optional<std::int64_t> parse_time(std::string_view text) {
    using namespace std::chrono;
    if (!text.ends_with('Z')) return std::nullopt;
    text.remove_suffix(1);
    const auto y = take(text, 4, "-");
    const auto mo = y ? take(text, 2, "-") : std::nullopt;
    const auto d = mo ? take(text, 2, "T") : std::nullopt;
    const auto h = d ? take(text, 2, ":") : std::nullopt;
    const auto mi = h ? take(text, 2, ":") : std::nullopt;
    const auto s = mi ? take(text, 2, "") : std::nullopt;
    if (!s || (!text.empty() && text.front() != '.')) return std::nullopt;
    const auto fraction = take_fraction(text);
    const year_month_day date{year(*y), month(static_cast<unsigned>(*mo)), day(static_cast<unsigned>(*d))};
    if (!fraction || *y < 1970 || !date.ok() || *h > 23 || *mi > 59 || *s > 59) return std::nullopt;
    const auto time = sys_days(date) + hours(*h) + minutes(*mi) + seconds(*s) + milliseconds(*fraction);
    return duration_cast<milliseconds>(time.time_since_epoch()).count();
}

nlohmann::json json_of(const Stamp& stamp) {
    return {{"uid", stamp.uid},
            {"pid", stamp.pid},
            {"by", stamp.by},
            {"reason", stamp.reason},
            {"at", time_text(stamp.at_ms)},
            {"until", stamp.until_ms ? nlohmann::json(time_text(*stamp.until_ms)) : nlohmann::json()}};
}

base::Result<Stamp> stamp_in(const nlohmann::json& object) {
    const auto uid = number_in<std::uint32_t>(object, "uid");
    if (!uid) return std::unexpected(uid.error());
    const auto pid = number_in<std::int32_t>(object, "pid");
    if (!pid) return std::unexpected(pid.error());
    auto by = text_in(object, "by");
    if (!by) return std::unexpected(by.error());
    auto reason = text_in(object, "reason");
    if (!reason) return std::unexpected(reason.error());
    const nlohmann::json* at = find(object, "at");
    if (at == nullptr) return base::failure("\"at\" is missing");
    const auto at_ms = time_in(*at, "at");
    if (!at_ms) return std::unexpected(at_ms.error());
    Stamp stamp{.uid = *uid,
                .pid = *pid,
                .by = std::move(*by),
                .reason = std::move(*reason),
                .at_ms = *at_ms,
                .until_ms = std::nullopt};
    if (const nlohmann::json* until = find(object, "until"); until != nullptr && !until->is_null()) {
        const auto until_ms = time_in(*until, "until");
        if (!until_ms) return std::unexpected(until_ms.error());
        stamp.until_ms = *until_ms;
    }
    return stamp;
}

std::string text_of(const Stamp& stamp) {
    return fmt::format("since {}{} by {}uid {}, pid {}{}{}{}", time_text(stamp.at_ms),
                       stamp.until_ms ? " until " + time_text(*stamp.until_ms) : "",
                       stamp.by.empty() ? "" : stamp.by + " (", stamp.uid, stamp.pid,
                       stamp.by.empty() ? "" : ")", stamp.reason.empty() ? "" : ": ", stamp.reason);
}

}  // namespace palier::control
