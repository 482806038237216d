// Difference: what another configuration changes, in words for people. What it says of a server begins with
// "server POOL/SERVER", and so on, so that lists can be searched.
// Thread: a value, any.
#pragma once

#include "palier/config/config.h"

#include <string>
#include <vector>

namespace palier::control {

struct Difference {
    std::vector<std::string> added;    // "server web/front3"
    std::vector<std::string> changed;  // "timeouts.server 60s -> 30s", "server web/front1: weight 100 -> 50"
    std::vector<std::string> removed;  // "listener http"
    std::vector<std::string>
        needs_restart;  // what is changed but stays as it was until the next restart or upgrade

    [[nodiscard]] bool none() const {
        return added.empty() && changed.empty() && removed.empty() && needs_restart.empty();
    }
};

[[nodiscard]] Difference difference(const config::Config& before, const config::Config& after);

}  // namespace palier::control
