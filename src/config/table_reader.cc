#include "config/table_reader.h"

#include "palier/config/nearest.h"
#include "palier/config/units.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

namespace palier::config {
namespace {

/// Keys of the file itself, which TOML counts to the table above them when they stand below one.
constexpr std::array<std::string_view, 12> kFileKeys{
    "node",       "workers", "control_socket", "control_owner", "control_group",   "state_file",
    "ready_when", "admin",   "shutdown_grace", "tunnel_grace",  "trusted_proxies", "include"};

constexpr std::string_view kDuration = "a duration such as \"250ms\", \"2s\", \"5m\" or \"1h\"";
constexpr std::string_view kSize = "a size such as \"64KiB\", \"1GiB\" or \"0\"";

/// Numbers and flags cannot hold a variable, so a string that does stands for one.
template <typename T>
std::optional<T> expanded_number(const Node& value) {
    if (value.kind != Node::Kind::string || !value.expanded) return std::nullopt;
    T number{};
    const char* end = value.string.data() + value.string.size();
    const auto [rest, error] = std::from_chars(value.string.data(), end, number);
    if (error != std::errc{} || rest != end) return std::nullopt;
    return number;
}

}  // namespace

std::string_view name_of(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::string:
            return "a string";
        case Node::Kind::integer:
            return "a number";
        case Node::Kind::floating:
            return "a decimal fraction";
        case Node::Kind::boolean:
            return "true or false";
        case Node::Kind::time:
            return "a date or time";
        case Node::Kind::array:
            return "a list";
        case Node::Kind::table:
            return "a table";
    }
    return "something else";
}

std::string alternatives(std::span<const std::string_view> names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string_view separator = i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
        text += fmt::format("{}\"{}\"", separator, names[i]);
    }
    return text;
}

TableReader::TableReader(const Node& table, std::string_view path, Mistakes& mistakes)
    : path_(path), place_(table.place()), mistakes_(mistakes) {
    entries_.reserve(table.entries.size());
    for (const Node::Entry& entry : table.entries) {
        entries_.push_back(&entry);
    }
    asked_.reserve(12);
}

TableReader::TableReader(std::vector<const Node::Entry*> entries, Place place, Mistakes& mistakes)
    : entries_(std::move(entries)), place_(place), mistakes_(mistakes) {}

std::string TableReader::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

const Node* TableReader::find(std::string_view key) {
    asked_.push_back(key);
    const auto found = std::ranges::find(entries_, key, &Node::Entry::key);
    return found == entries_.end() ? nullptr : &(*found)->value;
}

bool TableReader::has(std::string_view key) const {
    return std::ranges::find(entries_, key, &Node::Entry::key) != entries_.end();
}

bool TableReader::misspelt(std::string_view key) const {
    const std::array<std::string_view, 1> only{key};
    return !has(key) && std::ranges::any_of(entries_, [&](const Node::Entry* entry) {
        return !nearest(entry->key, only).empty();
    });
}

bool TableReader::meant(std::string_view key) const {
    return misspelt(key) || std::ranges::any_of(entries_, [&](const Node::Entry* entry) {
               return entry->key == key &&
                      (entry->value.kind != Node::Kind::array || !entry->value.items.empty());
           });
}

Place TableReader::key_place(std::string_view key) const {
    const auto found = std::ranges::find(entries_, key, &Node::Entry::key);
    return found == entries_.end() ? place_ : (*found)->key_place();
}

const Node* TableReader::text(std::string_view key) {
    const Node* value = find(key);
    if (value == nullptr || value->broken) return nullptr;
    if (value->kind == Node::Kind::string) return value;
    wrong_type(key, *value, "a string");
    return nullptr;
}

const Node* TableReader::required_text(std::string_view key) {
    const Node* value = text(key);
    if (value == nullptr && !has(key)) missing(key);
    return value;
}

std::vector<const Node*> TableReader::texts(std::string_view key) {
    const Node* value = find(key);
    std::vector<const Node*> found;
    if (value == nullptr || value->broken) return found;
    if (value->kind == Node::Kind::string) {
        found.push_back(value);
    } else if (value->kind == Node::Kind::array) {
        for (const Node& item : value->items) {
            if (item.broken) continue;
            if (item.kind == Node::Kind::string) {
                found.push_back(&item);
            } else {
                add(item, fmt::format("\"{}\" must hold strings, not {}", path_of(key), name_of(item.kind)));
            }
        }
    } else {
        wrong_type(key, *value, "a string or a list of strings");
    }
    return found;
}

std::vector<const Node*> TableReader::required_texts(std::string_view key) {
    std::vector<const Node*> found = texts(key);
    const Node* value = find(key);
    if (value == nullptr) {
        missing(key);
    } else if (value->kind == Node::Kind::array && value->items.empty()) {
        add(*value, fmt::format("\"{}\" must not be empty", path_of(key)));
    }
    return found;
}

void TableReader::read(std::string_view key, bool& value) {
    const Node* node = find(key);
    if (node == nullptr || node->broken) return;
    if (node->kind == Node::Kind::boolean) {
        value = node->boolean;
    } else if (node->expanded && (node->string == "true" || node->string == "false")) {
        value = node->string == "true";
    } else {
        wrong_type(key, *node, "true or false");
    }
}

void TableReader::read(std::string_view key, Duration& value, Range<Duration> range) {
    const Node* node = find(key);
    if (node == nullptr || node->broken) return;
    if (node->kind != Node::Kind::string) {
        wrong_type(key, *node, "a duration, which is a string such as \"2s\"");
        return;
    }
    const auto parsed = parse_duration(node->string);
    if (!parsed) {
        add(*node, fmt::format("\"{}\" must be {}, not {}", path_of(key), kDuration, parsed.error().message));
    } else if (*parsed < range.min || *parsed > range.max) {
        add(*node, fmt::format("\"{}\" must be from \"{}\" to \"{}\", not \"{}\"", path_of(key),
                               to_text(range.min), to_text(range.max), node->string));
    } else {
        value = *parsed;
    }
}

void TableReader::read_size(std::string_view key, std::uint64_t& value, Range<std::uint64_t> range) {
    const Node* node = find(key);
    if (node == nullptr || node->broken) return;
    if (node->kind != Node::Kind::string) {
        wrong_type(key, *node, "a size, which is a string such as \"64KiB\"");
        return;
    }
    const auto parsed = parse_size(node->string);
    if (!parsed) {
        add(*node, fmt::format("\"{}\" must be {}, not {}", path_of(key), kSize, parsed.error().message));
    } else if (*parsed < range.min || *parsed > range.max) {
        add(*node, fmt::format("\"{}\" must be from \"{}\" to \"{}\", not \"{}\"", path_of(key),
                               size_to_text(range.min), size_to_text(range.max), node->string));
    } else {
        value = *parsed;
    }
}

std::optional<std::int64_t> TableReader::number_in(std::string_view key, std::int64_t min, std::int64_t max) {
    const Node* node = find(key);
    if (node == nullptr || node->broken) return std::nullopt;
    std::optional<std::int64_t> number = expanded_number<std::int64_t>(*node);
    if (node->kind == Node::Kind::integer) number = node->integer;
    if (!number) {
        wrong_type(key, *node, "a whole number");
        return std::nullopt;
    }
    if (*number < min || *number > max) {
        add(*node, fmt::format("\"{}\" must be from {} to {}, not {}", path_of(key), min, max, *number));
        return std::nullopt;
    }
    return number;
}

std::optional<std::size_t> TableReader::choice_among(std::string_view key,
                                                     std::span<const std::string_view> names) {
    const Node* node = text(key);
    if (node == nullptr) return std::nullopt;
    const auto found = std::ranges::find(names, node->string);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    add(*node, fmt::format("\"{}\" must be {}, not \"{}\"{}", path_of(key), alternatives(names), node->string,
                           suggestion(node->string, names)));
    return std::nullopt;
}

std::optional<TableReader> TableReader::table(std::string_view key) {
    const Node* node = find(key);
    if (node == nullptr) return std::nullopt;
    if (node->kind == Node::Kind::table) return TableReader(*node, path_of(key), mistakes_);
    const std::string path = path_of(key);
    const bool doubled = node->kind == Node::Kind::array && !node->items.empty() &&
                         node->items.front().kind == Node::Kind::table;
    if (doubled) {
        mistakes_.add(key_place(key), fmt::format("\"{0}\" is one table, not a list: write [{0}]", path));
    } else {
        wrong_type(key, *node, "a table");
    }
    return std::nullopt;
}

std::vector<const Node*> TableReader::tables(std::string_view key) {
    asked_.push_back(key);
    std::vector<const Node*> found;
    for (const Node::Entry* entry : entries_) {
        if (entry->key != key) continue;
        const Node& value = entry->value;
        if (value.kind == Node::Kind::table) {
            mistakes_.add(entry->key_place(),
                          fmt::format("\"{0}\" is a list of tables: write [[{0}]]", path_of(key)));
        } else if (value.kind != Node::Kind::array) {
            wrong_type(key, value, fmt::format("a list of tables, written [[{}]]", path_of(key)));
        }
        for (const Node& item : value.items) {
            if (item.kind == Node::Kind::table) {
                found.push_back(&item);
            } else if (!item.broken) {
                add(item, fmt::format("\"{}\" must hold tables, not {}", path_of(key), name_of(item.kind)));
            }
        }
    }
    return found;
}

void TableReader::missing(std::string_view key) {
    const Document& document = *place_.document;
    if (!document.complete || document.lines_left_out || misspelt(key)) return;
    mistakes_.add(place_, fmt::format("\"{}\" is missing", path_of(key)));
}

void TableReader::wrong_type(std::string_view key, const Node& value, std::string_view expected) {
    add(value, fmt::format("\"{}\" must be {}, not {}", path_of(key), expected, name_of(value.kind)));
}

void TableReader::finish() {
    for (const Node::Entry* entry : entries_) {
        if (std::ranges::find(asked_, entry->key) != asked_.end()) continue;
        const bool misplaced = !path_.empty() && std::ranges::find(kFileKeys, entry->key) != kFileKeys.end();
        mistakes_.add(
            entry->key_place(),
            fmt::format("unknown key \"{}\"{}", path_of(entry->key),
                        misplaced
                            ? fmt::format("; \"{}\" belongs above the first [table] of the file", entry->key)
                            : suggestion(entry->key, asked_)));
    }
}

}  // namespace palier::config
