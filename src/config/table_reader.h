// A table being read: knows its path, remembers which keys it was asked for, and reports what does not fit.
// Each read leaves its target as it was (the default) when the key is absent or wrong.
// Thread: control only. Owner: the function that reads the table; call finish() at its end.
#pragma once

#include "config/document.h"
#include "config/mistakes.h"
#include "palier/config/config.h"

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace palier::config {

template <typename T>
struct Range {
    T min;
    T max;
};

template <typename Enum>
using Choice = std::pair<std::string_view, Enum>;

class TableReader {
  public:
    /// `path` is how messages name the table ("pool.server"); "" is the file itself.
    TableReader(const Node& table, std::string_view path, Mistakes& mistakes);
    /// Entries from several places, read as one table. Tables in arrays of the same key are joined.
    TableReader(std::vector<const Node::Entry*> entries, Place place, Mistakes& mistakes);

    [[nodiscard]] Place place() const { return place_; }
    [[nodiscard]] Mistakes& mistakes() { return mistakes_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string path_of(std::string_view key) const;

    /// The value, whatever its type; nullptr when the key is absent.
    const Node* find(std::string_view key);
    [[nodiscard]] bool has(std::string_view key) const;
    /// Whether the key is absent, but another is there that finish() will take for a slip of it.
    [[nodiscard]] bool misspelt(std::string_view key) const;
    /// Whether the key is there and not an empty list, or misspelt.
    [[nodiscard]] bool meant(std::string_view key) const;
    /// The place of a key that is there.
    [[nodiscard]] Place key_place(std::string_view key) const;

    /// A string; nullptr when absent or wrong.
    const Node* text(std::string_view key);
    const Node* required_text(std::string_view key);
    /// A string or a list of strings; wrong items are left out.
    std::vector<const Node*> texts(std::string_view key);
    std::vector<const Node*> required_texts(std::string_view key);

    void read(std::string_view key, bool& value);
    void read(std::string_view key, Duration& value, Range<Duration> range);
    void read_size(std::string_view key, std::uint64_t& value, Range<std::uint64_t> range);
    template <std::unsigned_integral T>
    void read(std::string_view key, T& value, Range<T> range) {
        if (const auto number =
                number_in(key, static_cast<std::int64_t>(range.min), static_cast<std::int64_t>(range.max))) {
            value = static_cast<T>(*number);
        }
    }
    template <typename Enum, std::size_t N>
    void read(std::string_view key, Enum& value, const std::array<Choice<Enum>, N>& choices) {
        std::array<std::string_view, N> names;
        for (std::size_t i = 0; i < N; ++i) {
            names[i] = choices[i].first;
        }
        if (const auto index = choice_among(key, names)) value = choices[*index].second;
    }

    /// [key]
    std::optional<TableReader> table(std::string_view key);
    /// [[key]]
    std::vector<const Node*> tables(std::string_view key);

    /// Reports a required key as missing, unless another mistake explains that.
    void missing(std::string_view key);
    /// Reports that `value` must be `expected`.
    void wrong_type(std::string_view key, const Node& value, std::string_view expected);
    /// Reports the keys that nothing asked for.
    void finish();

  private:
    void add(const Node& value, std::string message) { mistakes_.add(value.place(), std::move(message)); }
    std::optional<std::int64_t> number_in(std::string_view key, std::int64_t min, std::int64_t max);
    std::optional<std::size_t> choice_among(std::string_view key, std::span<const std::string_view> names);

    std::vector<const Node::Entry*> entries_;
    std::vector<std::string_view> asked_;
    std::string path_;
    Place place_;
    Mistakes& mistakes_;
};

/// "a string", "a number", …
[[nodiscard]] std::string_view name_of(Node::Kind kind);

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`
[[nodiscard]] std::string alternatives(std::span<const std::string_view> names);

}  // namespace palier::config
