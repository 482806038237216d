#include "health/text_search.h"

namespace palier::health {

TextSearch::TextSearch(std::string_view text) : text_(text), fall_back_(text.size()) {
    std::size_t matched = 0;
    for (std::size_t at = 1; at < text_.size(); ++at) {
        while (matched > 0 && text_[at] != text_[matched])
            matched = fall_back_[matched - 1];
        if (text_[at] == text_[matched]) ++matched;
        fall_back_[at] = static_cast<std::uint32_t>(matched);
    }
}

void TextSearch::advance(char c) {
    while (matched_ > 0 && c != text_[matched_])
        matched_ = fall_back_[matched_ - 1];
    if (c == text_[matched_]) ++matched_;
}

void TextSearch::look_at(std::string_view piece) {
    for (const char c : piece) {
        if (found()) return;
        advance(c);
    }
}

}  // namespace palier::health
