// A configuration file as a tree in which everything knows where it stands.
// Thread: control only. Owner: the Sources of one load; nothing of it outlives that load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace palier::config {

struct Document;

/// A byte of a document.
struct Place {
    const Document* document = nullptr;
    std::size_t offset = 0;
};

/// A TOML value. Of the members after `offset`, only the one that `kind` names is set.
struct Node {
    enum class Kind : std::uint8_t { string, integer, floating, boolean, time, array, table };
    struct Entry;

    Kind kind = Kind::table;
    bool broken = false;    // a mistake in it has been reported: it is passed over without another
    bool expanded = false;  // an environment variable is part of the string
    const Document* document = nullptr;
    std::size_t offset = 0;
    std::string string;
    std::int64_t integer = 0;
    bool boolean = false;
    std::vector<Node> items;
    std::vector<Entry> entries;  // in the order of the file

    [[nodiscard]] Place place() const { return {document, offset}; }
};

struct Node::Entry {
    std::string key;
    std::size_t key_offset = 0;
    Node value;

    [[nodiscard]] Place key_place() const { return {value.document, key_offset}; }
};

struct Document {
    Document(std::string file_name, std::string_view file_folder, const std::string& file_text);
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;

    /// Line and column (in bytes) of an offset, both from 1.
    [[nodiscard]] std::pair<std::size_t, std::size_t> line_and_column(std::size_t offset) const;
    /// The inverse; clamped to the line and the text.
    [[nodiscard]] std::size_t offset_of(std::size_t line, std::size_t column) const;
    /// Without its line ending.
    [[nodiscard]] std::string_view line(std::size_t number) const;
    /// A path as this file means it: relative ones start at its folder.
    [[nodiscard]] std::string resolve(std::string_view path) const;

    const std::string name;    // as messages call it
    const std::string folder;  // "" for the working directory
    const std::string text;    // without a byte order mark
    Node root;
    // Set by syntax errors.
    bool complete = true;         // false: tables or includes may be missing
    bool lines_left_out = false;  // keys of tables may be missing

  private:
    std::vector<std::size_t> line_starts_;
};

}  // namespace palier::config
