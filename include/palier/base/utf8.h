// UTF-8 as foreign bytes have it: which of them make a character (RFC 3629 section 4), and what may be shown.
// Thread: any; pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace palier::base {

/// The bytes of the character at the front of `text`, 1 to 4; 0 where there is none: a stray or missing continuation, an
/// overlong form, a surrogate, a value beyond U+10FFFF, or no text.
[[nodiscard]] std::size_t utf8_size(std::string_view text);

/// Whether a character, as utf8_size() found it, is a control: U+0000 to U+001F and U+007F to U+009F.
[[nodiscard]] bool is_control(std::string_view character);

/// `text` made fit for a line: control characters and what is no UTF-8 become '?'; what is beyond `most` bytes becomes
/// "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t most);

}  // namespace palier::base
