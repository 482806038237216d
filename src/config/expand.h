// Environment variables in strings: "${NAME}" and "${NAME:-default}"; "$${" stands for "${".
// Thread: control only (the environment must not change meanwhile).
#pragma once

#include "config/document.h"
#include "config/mistakes.h"
#include "palier/base/result.h"

#include <string>
#include <string_view>

namespace palier::config {

/// The default also stands for a variable that is set to nothing, as in a shell; it ends at the first "}". An
/// unset variable without default is an error.
[[nodiscard]] base::Result<std::string> expand(std::string_view text);

/// Expands every string of a tree in place. Those that cannot be are reported and marked broken.
void expand_strings(Node& node, Mistakes& mistakes);

}  // namespace palier::config
