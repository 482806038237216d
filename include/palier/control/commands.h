// The plain commands of the control socket: what is going on (status, pools, certificates), what operators decide about
// pools and servers (drain, enable, disable, weight, only, maintenance), and palier itself (drain self, enable self, stop).
//
// A decision goes into the overlay's file, then to all workers; its reply comes once no worker works under an older one.
// A server that is back at work, by a command or because a decision's time was up, begins with its slow start.
//
// Thread: control only.
#pragma once

#include "palier/control/certificate_watcher.h"
#include "palier/control/command.h"
#include "palier/control/engine.h"
#include "palier/control/events.h"
#include "palier/control/overlay.h"
#include "palier/control/readiness.h"
#include "palier/control/rollout.h"
#include "palier/net/loop.h"

#include <string>

namespace palier::control {

/// What the commands work with.
struct CommandEnvironment {
    net::Loop& loop;
    Engine& engine;
    Overlay& overlay;
    Events& events;
    CertificateWatcher& certificates;
    const Readiness& readiness;
    const Rollouts& rollouts;
    std::string config_file;  // for `status`
};

/// All of the environment must outlive `commands` and the loop's last turn. Waits that are under way end with `commands`.
/// The overlay tells what ends by itself through this from now on.
void add_commands(CommandTable& commands, const CommandEnvironment& environment);

}  // namespace palier::control
