#include "tls/host_name.h"

#include <algorithm>

namespace palier::tls {
namespace {

constexpr std::size_t kLongestLabel = 63;

/// The byte in lower case, or 0 when no host name has it. Underscores are no letters of host names but occur.
char to_name_byte(char byte) {
    if (byte >= 'A' && byte <= 'Z') return static_cast<char>(byte - 'A' + 'a');
    const bool fine =
        (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
    return fine ? byte : '\0';
}

}  // namespace

HostName::HostName(std::string_view text, bool wildcard) {
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.empty() || text.size() > kLongestHostName) return;
    std::size_t from = 0;
    if (wildcard && text.starts_with("*.") && text.size() > 2) {
        text_[0] = '*';
        text_[1] = '.';
        from = 2;
    }
    std::size_t label = 0;
    for (std::size_t i = from; i < text.size(); ++i) {
        if (text[i] == '.') {
            if (label == 0) return;
            label = 0;
            text_[i] = '.';
            continue;
        }
        text_[i] = to_name_byte(text[i]);
        if (text_[i] == '\0' || ++label > kLongestLabel) return;
    }
    if (label != 0) size_ = text.size();
}

HostName HostName::wildcard() const {
    HostName result;
    const std::size_t dot = view().find('.');
    if (dot == std::string_view::npos) return result;
    const std::string_view rest = view().substr(dot);
    if (rest.size() + 1 > kLongestHostName) return result;
    result.text_[0] = '*';
    std::ranges::copy(rest, result.text_.begin() + 1);
    result.size_ = rest.size() + 1;
    return result;
}

}  // namespace palier::tls
