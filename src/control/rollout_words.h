// A roll-out's commands: split into words as a shell would, and made for one server.
//
//     deploy.sh {server} "--host={address}" 'a b'
//
// Spaces separate words; single quotes hold anything, double quotes all but \" and \\, which stand for a quote and a
// backslash; outside of quotes, a backslash takes the next character as it is. {pool}, {server}, {address} and {node}
// are put in after the splitting, so that no value becomes two words.
//
// Thread: any; pure.
#pragma once

#include "palier/base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace palier::control {

/// What a command is made for.
struct RolloutPlace {
    std::string pool;
    std::string server;
    std::string address;  // as configured
    std::string node;     // may be ""
};

/// Fails for a quote that never closes, for no word at all, and for what looks like a misspelt {placeholder}.
[[nodiscard]] base::Result<std::vector<std::string>> split_words(std::string_view command);

[[nodiscard]] std::string filled(std::string_view word, const RolloutPlace& place);

/// What /bin/sh runs: values that hold anything but letters, digits and ._:/@%+,- come in single quotes.
[[nodiscard]] std::string filled_for_shell(std::string_view script, const RolloutPlace& place);

}  // namespace palier::control
