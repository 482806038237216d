// What Ctrl-C means to `palier ctl`: it ends, and what it asked for goes on.
// Thread: the only one.
#pragma once

#include <string>
#include <vector>

namespace palier::app {

/// From now on SIGINT says on stderr what becomes of the command in `words`, and ends the process as it does by default
/// (128 + 2 for a shell). Where it is ignored it stays so.
void tell_when_interrupted(const std::vector<std::string>& words);

}  // namespace palier::app
