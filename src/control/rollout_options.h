// RolloutOptions: what `rollout POOL run="…"` was asked to do, checked before anything is touched.
// Thread: control; values.
#pragma once

#include "palier/base/result.h"
#include "palier/config/config.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace palier::control {

/// As they came, which is also how they are kept for `resume`.
using OptionTexts = std::map<std::string, std::string, std::less<>>;

struct RolloutOptions {
    std::string run;
    std::string undo;                       // "": none
    bool shell = false;                     // both are scripts for /bin/sh
    std::uint32_t batch = 1;                // servers at a time
    std::uint32_t min_available = 1;        // others that must be usable while one is out
    config::Duration wait{30'000};          // for them, for the exchanges in flight, for probes
    config::Duration timeout{600'000};      // of the hook
    std::vector<std::string> warm;          // paths
    std::string warm_host;                  // the Host of those requests; "": as probes have it
    config::Duration warm_timeout{30'000};  // of all of them together
    config::Duration soak{10'000};          // 0: none
    bool close_tunnels = false;
    std::vector<std::string> servers;  // in their order; none: all, as configured
    std::string reason;
    std::string by;
};

/// The error is for the operator.
[[nodiscard]] base::Result<RolloutOptions> parse_rollout_options(const OptionTexts& texts);
/// The same, of a roll-out of `pool`: it has the servers that are named, and enough of them.
[[nodiscard]] base::Result<RolloutOptions> parse_rollout_options(const OptionTexts& texts,
                                                                 const config::PoolConfig& pool);

/// Keys that `rollout` knows.
[[nodiscard]] std::vector<std::string> rollout_option_keys();

}  // namespace palier::control
