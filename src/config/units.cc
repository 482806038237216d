#include "palier/config/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace palier::config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 5> kDurationUnits{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 5> kSizeUnits{{{"B", 1},
                                          {"KiB", std::uint64_t{1} << 10},
                                          {"MiB", std::uint64_t{1} << 20},
                                          {"GiB", std::uint64_t{1} << 30},
                                          {"TiB", std::uint64_t{1} << 40}}};

/// The number at the start of `text` and what follows it.
base::Result<std::pair<std::uint64_t, std::string_view>> split(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc::result_out_of_range)
        return base::failure(fmt::format("\"{}\", which is too much", text));
    if (error != std::errc{}) return base::failure(fmt::format("\"{}\"", text));
    return std::pair(number, text.substr(static_cast<std::size_t>(end - text.data())));
}

base::Result<std::uint64_t> multiply(std::uint64_t number, std::uint64_t factor, std::string_view text) {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (number > kMax / factor) return base::failure(fmt::format("\"{}\", which is too much", text));
    return number * factor;
}

template <std::size_t N>
std::string in_largest(std::uint64_t value, const std::array<Unit, N>& units) {
    for (std::size_t i = N; i-- > 1;) {
        if (value != 0 && value % units[i].factor == 0) {
            return fmt::format("{}{}", value / units[i].factor, units[i].name);
        }
    }
    return fmt::format("{}{}", value, units[0].name);
}

/// The unit of sizes that "KB", "k" or "M" probably stands for, or "".
std::string_view meant_size_unit(std::string_view unit) {
    switch (unit.empty() ? '\0' : unit.front()) {
        case 'k':
        case 'K':
            return "KiB";
        case 'm':
        case 'M':
            return "MiB";
        case 'g':
        case 'G':
            return "GiB";
        case 't':
        case 'T':
            return "TiB";
        default:
            return "";
    }
}

}  // namespace

base::Result<Duration> parse_duration(std::string_view text) {
    const auto parts = split(text);
    if (!parts) return std::unexpected(parts.error());
    const auto [number, name] = *parts;
    if (name.empty()) return base::failure(fmt::format("\"{}\": the unit is missing", text));
    for (const Unit& unit : kDurationUnits) {
        if (unit.name != name) continue;
        const auto milliseconds = multiply(number, unit.factor, text);
        if (!milliseconds) return std::unexpected(milliseconds.error());
        return Duration(static_cast<Duration::rep>(*milliseconds));
    }
    return base::failure(fmt::format("\"{}\"", text));
}

base::Result<std::uint64_t> parse_size(std::string_view text) {
    const auto parts = split(text);
    if (!parts) return std::unexpected(parts.error());
    const auto [number, name] = *parts;
    if (name.empty()) return multiply(number, 1, text);
    for (const Unit& unit : kSizeUnits) {
        if (unit.name == name) return multiply(number, unit.factor, text);
    }
    const std::string_view meant = meant_size_unit(name);
    if (meant.empty()) return base::failure(fmt::format("\"{}\"", text));
    return base::failure(fmt::format("\"{}\"; did you mean \"{}{}\"?", text, number, meant));
}

std::string to_text(Duration duration) {
    if (duration.count() == 0) return "0s";
    return in_largest(static_cast<std::uint64_t>(duration.count()), kDurationUnits);
}

std::string size_to_text(std::uint64_t bytes) {
    return bytes == 0 ? "0" : in_largest(bytes, kSizeUnits);
}

}  // namespace palier::config
