#include "config/document.h"

#include <algorithm>

namespace palier::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view without_byte_order_mark(std::string_view text) {
    return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

std::string without_dot(std::string_view folder) {
    return std::string(folder == "." ? "" : folder);
}

}  // namespace

Document::Document(std::string file_name, std::string_view file_folder, const std::string& file_text)
    : name(std::move(file_name)), folder(without_dot(file_folder)), text(without_byte_order_mark(file_text)) {
    root.document = this;
    line_starts_.push_back(0);
    for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1)) {
        line_starts_.push_back(at + 1);
    }
}

std::pair<std::size_t, std::size_t> Document::line_and_column(std::size_t offset) const {
    const auto next = std::ranges::upper_bound(line_starts_, offset);
    return {static_cast<std::size_t>(next - line_starts_.begin()), offset - *(next - 1) + 1};
}

std::string_view Document::line(std::size_t number) const {
    if (number == 0 || number > line_starts_.size()) return {};
    const std::size_t start = line_starts_[number - 1];
    std::string_view found = std::string_view(text).substr(start);
    found = found.substr(0, found.find('\n'));
    if (found.ends_with('\r')) found.remove_suffix(1);
    return found;
}

std::size_t Document::offset_of(std::size_t line_number, std::size_t column) const {
    const std::size_t known = std::clamp<std::size_t>(line_number, 1, line_starts_.size());
    return line_starts_[known - 1] + std::min(std::max<std::size_t>(column, 1) - 1, line(known).size());
}

std::string Document::resolve(std::string_view path) const {
    if (path.starts_with('/') || folder.empty()) return std::string(path);
    std::string whole = folder;
    if (!whole.ends_with('/')) whole += '/';
    return whole.append(path);
}

}  // namespace palier::config
