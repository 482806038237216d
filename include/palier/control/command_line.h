// The control socket's lines of text: a command, its words, and key=value for options.
//
//     drain web/front1 wait=30s reason="new kernel"
//
// Words are separated by spaces. Double quotes, anywhere in a word, hold spaces; inside them \" and \\ stand for a quote
// and a backslash. A word that begins with a key (a-z and _) and "=" is an option. A line is UTF-8 without control
// characters.
//
// Thread: any; pure.
#pragma once

#include "palier/base/result.h"
#include "palier/control/command.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace palier::control {

inline constexpr std::size_t kLongestLine = 64 * 1024;  // without its end

/// `line` comes without its end. A blank one gives a Request without a command. The error is in words, with the column,
/// which counts characters from 1.
[[nodiscard]] base::Result<Request> parse_line(std::string_view line);

/// `word` as a line has it, in quotes if it needs them; an option's value alone is quoted. Nothing makes control
/// characters fit for a line.
[[nodiscard]] std::string quoted(std::string_view word);

/// The line that parses to `request`, without its peer: for the log.
[[nodiscard]] std::string line_of(const Request& request);

}  // namespace palier::control
