// What toml11 says about a syntax error, as one sentence with a place.
// Thread: any; pure.
#pragma once

#include "config/document.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace palier::config {

struct Mark {
    std::size_t line = 1;
    std::size_t column = 1;
};

struct SyntaxError {
    std::size_t line = 1;
    std::size_t column = 1;
    std::string message;
    bool line_can_be_left_out = false;  // the rest of the file means the same without that line
};

/// `what` is the text of toml11's exception: a sentence, then excerpts of the file with marks under them. The
/// marks are right; `fallback`, the exception's own place, often is where the line starts.
[[nodiscard]] SyntaxError understand(std::string_view what, Mark fallback, const Document& document);

}  // namespace palier::config
