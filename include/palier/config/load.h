// From TOML text to a Config, or to every mistake in it.
// Thread: control only (reads files). toml11 stays behind this header, exceptions and all.
#pragma once

#include "palier/config/config.h"

#include <cstddef>
#include <expected>
#include <string>
#include <vector>

namespace palier::config {

/// One mistake, with its place.
struct Mistake {
    std::string file;
    std::size_t line = 0;    // from 1; 0 where the file itself is the matter
    std::size_t column = 0;  // from 1
    std::string message;     // what is wrong, what was expected, and the nearest known name

    /// "FILE:LINE:COL: message"
    [[nodiscard]] std::string to_string() const;
};

using Loaded = std::expected<Config, std::vector<Mistake>>;

/// Reads `path` and what it includes; each file's relative paths start at its own folder. All mistakes are
/// reported at once, in the order of files (the including one first) and lines. Environment variables in
/// strings are read here and now.
[[nodiscard]] Loaded load_file(const std::string& path);

/// The same for text that is in no file: `name` stands for the file in messages, `folder` is where
/// relative paths start.
[[nodiscard]] Loaded load_text(const std::string& text, const std::string& name, const std::string& folder);

}  // namespace palier::config
