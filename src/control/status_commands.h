// The commands that tell what is going on: status, pools, certificates.
// Thread: control only.
#pragma once

#include "palier/control/commands.h"

#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

namespace palier::control {

void tell_status(const CommandEnvironment& environment, const std::shared_ptr<Reply>& reply);

/// {"pools":[…]}: all of them, or the one that the request names; with "aside", where operators decided about what is
/// not configured.
void tell_pools(const CommandEnvironment& environment, const Request& request,
                const std::shared_ptr<Reply>& reply);

/// {"certificates":[…],"problems":[{"file":…,"reason":…}]}; the word "reload" has the files looked at first.
void tell_certificates(const CommandEnvironment& environment, const Request& request,
                       const std::shared_ptr<Reply>& reply);

}  // namespace palier::control
