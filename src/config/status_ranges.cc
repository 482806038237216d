#include "config/status_ranges.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr std::uint16_t kFirst = 200;
constexpr std::uint16_t kLast = 599;

std::optional<std::uint16_t> parse_status(std::string_view text) {
    std::uint16_t status = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (status < kFirst || status > kLast) return std::nullopt;
    return status;
}

/// "5xx" → "500-599"; "" when `text` is no such class.
std::string class_of(std::string_view text) {
    const bool like = text.size() == 3 && text[0] >= '2' && text[0] <= '5' && (text[1] | 0x20) == 'x' &&
                      (text[2] | 0x20) == 'x';
    return like ? fmt::format("{0}00-{0}99", text[0]) : "";
}

/// One item of the list, or the value alone; nothing after reporting.
std::optional<StatusRange> read_range(TableReader& table, std::string_view key, const Node& item) {
    const bool number = item.kind == Node::Kind::integer;
    if (number || item.kind == Node::Kind::string) {
        const std::string text = number ? std::to_string(item.integer) : item.string;
        const auto range = parse_status_range(text);
        if (range) return *range;
        const std::string& meant = range.error().message;
        table.mistakes().add(item.place(),
                             fmt::format("\"{0}\" must hold statuses from {1} to {2}, such as \"204\" or "
                                         "\"200-399\", not {3}{4}{3}{5}",
                                         table.path_of(key), kFirst, kLast, number ? "" : "\"", text,
                                         meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant)));
    } else {
        table.mistakes().add(item.place(), fmt::format("\"{}\" must hold statuses, not {}",
                                                       table.path_of(key), name_of(item.kind)));
    }
    return std::nullopt;
}

}  // namespace

base::Result<StatusRange> parse_status_range(std::string_view text) {
    const std::size_t dash = text.find('-');
    const auto first = parse_status(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_status(text.substr(dash + 1));
    if (!first || !last) return base::failure(class_of(text));
    if (*first > *last) return base::failure(fmt::format("{}-{}", *last, *first));
    return StatusRange{*first, *last};
}

void read_status_ranges(TableReader& table, std::string_view key, std::vector<StatusRange>& ranges,
                        bool may_be_empty) {
    const Node* value = table.find(key);
    if (value == nullptr || value->broken) return;
    const bool one = value->kind == Node::Kind::string || value->kind == Node::Kind::integer;
    if (!one && value->kind != Node::Kind::array) {
        table.wrong_type(key, *value, "a status, a range such as \"200-399\" or a list of them");
        return;
    }
    std::vector<StatusRange> read;
    bool good = true;
    const std::span<const Node> items = one ? std::span(value, 1) : std::span(value->items);
    for (const Node& item : items) {
        const auto range = item.broken ? std::nullopt : read_range(table, key, item);
        if (range) read.push_back(*range);
        good = good && range.has_value();
    }
    if (items.empty() && !may_be_empty) {
        table.mistakes().add(value->place(), fmt::format("\"{}\" must not be empty", table.path_of(key)));
    } else if (good) {
        ranges = std::move(read);
    }
}

}  // namespace palier::config
