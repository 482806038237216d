#include "app/ctl_text.h"

#include "palier/base/assert.h"
#include "palier/base/utf8.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr std::string_view kGap = "  ";

std::string_view escape_of(Tone tone) {
    static constexpr std::array<std::string_view, 6> kEscapes{"",         "\x1b[32m", "\x1b[33m",
                                                              "\x1b[31m", "\x1b[2m",  "\x1b[1m"};
    return kEscapes[static_cast<std::size_t>(tone)];
}

}  // namespace

Palette Palette::of_stdout() {
    const char* no_colour = std::getenv("NO_COLOR");
    return Palette(::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0'));
}

std::string Palette::paint(std::string_view text, Tone tone) const {
    if (!colours_ || tone == Tone::plain || text.empty()) return std::string(text);
    return fmt::format("{}{}\x1b[0m", escape_of(tone), text);
}

std::string shown(std::string_view text) {
    return base::printable(text, std::numeric_limits<std::size_t>::max());
}

std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char byte) { return (byte & 0xc0) != 0x80; }));
}

std::string TextTable::text(const Palette& palette, std::string_view indent) const {
    std::vector<std::size_t> widths;
    std::vector<Cell> titles;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        std::size_t width = width_of(columns_[i].title);
        for (const auto& row : rows_)
            width = std::max(width, width_of(row[i].text));
        widths.push_back(width);
        titles.push_back({.text = columns_[i].title, .tone = Tone::faint});
    }
    std::string text;
    if (std::ranges::any_of(titles, [](const Cell& cell) { return !cell.text.empty(); }))
        text += fmt::format("{}{}\n", indent, line_of(titles, widths, palette));
    for (const auto& row : rows_) {
        PALIER_ASSERT(row.size() == columns_.size());
        text += fmt::format("{}{}\n", indent, line_of(row, widths, palette));
    }
    return text;
}

std::string TextTable::line_of(const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
                               const Palette& palette) const {
    std::string line;
    std::size_t owed = 0;  // spaces that are written only if something follows
    for (std::size_t i = 0; i < row.size(); ++i) {
        const std::size_t room = widths[i] - width_of(row[i].text);
        const bool right = columns_[i].align == Align::right;
        if (right) owed += room;
        if (!row[i].text.empty()) {
            line.append(owed, ' ');
            line += palette.paint(row[i].text, row[i].tone);
            owed = 0;
        }
        owed += (right ? 0 : room) + kGap.size();
    }
    return line;
}

}  // namespace palier::app
