// Text for people: coloured where it goes to a terminal, aligned by characters, and free of anything that a terminal would
// obey. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace palier::app {

enum class Tone : std::uint8_t { plain, good, warning, bad, faint, strong };

/// Paints, or not.
class Palette {
  public:
    explicit Palette(bool colours) : colours_(colours) {}
    /// For stdout: colours on a terminal, unless NO_COLOR is set to something (no-color.org).
    [[nodiscard]] static Palette of_stdout();

    [[nodiscard]] std::string paint(std::string_view text, Tone tone) const;

  private:
    bool colours_;
};

/// What others wrote, without control characters and in valid UTF-8.
[[nodiscard]] std::string shown(std::string_view text);

/// How many characters `text` has, which is UTF-8.
[[nodiscard]] std::size_t width_of(std::string_view text);

struct Cell {
    std::string text;
    Tone tone = Tone::plain;
};

/// Columns as wide as their widest cell, two spaces apart; the last one as wide as it likes.
class TextTable {
  public:
    enum class Align : std::uint8_t { left, right };
    struct Column {
        std::string title;
        Align align = Align::left;
    };

    explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

    /// As many cells as there are columns.
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    /// With a line of titles, unless all of them are empty; each line begins with `indent`.
    [[nodiscard]] std::string text(const Palette& palette, std::string_view indent = {}) const;

  private:
    [[nodiscard]] std::string line_of(const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
                                      const Palette& palette) const;

    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

}  // namespace palier::app
