// What another configuration changes in routes. They have no names: one is the same as before where its listeners, hosts
// and path are, and changed where it leads elsewhere. Pools and listeners are compared by name, whatever their place.
// Thread: any.
#pragma once

#include "palier/config/config.h"
#include "palier/control/difference.h"

namespace palier::control {

/// Adds to `found`.
void compare_routes(const config::Config& before, const config::Config& after, Difference& found);

}  // namespace palier::control
