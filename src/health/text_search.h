// Looks for a text in bytes that come in pieces, also across their edges. Each byte is looked at a bounded
// number of times, however small the pieces and however repetitive the text (Knuth, Morris and Pratt).
// Thread: control only. Owner: a dialogue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace palier::health {

class TextSearch {
  public:
    /// `text` must outlive the search. An empty one is found at once.
    explicit TextSearch(std::string_view text);

    /// Takes the next piece in.
    void look_at(std::string_view piece);
    [[nodiscard]] bool found() const { return matched_ == text_.size(); }

  private:
    void advance(char c);

    std::string_view text_;
    std::vector<std::uint32_t>
        fall_back_;            // by matched bytes - 1: as many are still matched before a mismatch
    std::size_t matched_ = 0;  // of text_, at the end of what came
};

}  // namespace palier::health
