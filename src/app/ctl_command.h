// palier ctl: gives one command to a running palier and prints what it says.
// Thread: the main one.
#pragma once

#include <string>
#include <vector>

namespace palier::app {

/// `arguments`: those after `ctl`. Exit codes: 0 done, 1 refused or nobody there, 2 usage.
[[nodiscard]] int ctl_command(const std::vector<std::string>& arguments);

}  // namespace palier::app
