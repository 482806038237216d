// Environment: the variables that a child begins with.
// Thread: any that may read environ; nobody changes it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace palier::net {

/// Palier's own, changed: set, or removed where there is no value. Each "NAME=VALUE".
[[nodiscard]] std::vector<std::string> changed_environment(
    const std::vector<std::pair<std::string, std::optional<std::string>>>& changes);

}  // namespace palier::net
