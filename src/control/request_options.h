// Options that several commands have. The errors are sentences.
// Thread: control only.
#pragma once

#include "palier/base/result.h"
#include "palier/config/config.h"
#include "palier/control/command.h"
#include "palier/control/overlay.h"

#include <optional>
#include <string_view>

namespace palier::control {

/// wait=30s; none if it was not given. From 0s to `longest`.
[[nodiscard]] base::Result<std::optional<config::Duration>> duration_option(const Request& request,
                                                                            std::string_view key,
                                                                            config::Duration longest);

/// Who asks, with the request's reason=, by= and ttl=, now.
[[nodiscard]] base::Result<Stamp> stamp_of(const Request& request);

}  // namespace palier::control
