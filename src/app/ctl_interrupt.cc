#include "app/ctl_interrupt.h"

#include <algorithm>
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

namespace palier::app {
namespace {

std::string g_farewell;  // as it goes out: a signal handler cannot put it together

/// "" for what only tells, and is ended like this.
std::string outcome_of(const std::vector<std::string>& words) {
    const std::string& command = words.front();
    const std::string about = words.size() > 1 ? words[1] : "";
    if (command == "drain" && about != "self") return fmt::format("{} stays drained", about);
    if (command == "rollout" && std::ranges::find(words, "abort") == words.end())
        return fmt::format(
            "the roll-out goes on: `rollout {0} status` tells of it, `rollout {0} abort` ends it", about);
    if (command == "upgrade" || command == "reload") return fmt::format("the {} goes on", command);
    return "";
}

void on_interrupt(int signal) {
    // Nothing can be done about a stderr that is gone.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, g_farewell.data(), g_farewell.size());
    std::raise(signal);
}

}  // namespace

void tell_when_interrupted(const std::vector<std::string>& words) {
    const std::string outcome = outcome_of(words);
    struct sigaction action {};
    if (outcome.empty() || ::sigaction(SIGINT, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return;
    g_farewell = fmt::format("\npalier ctl: interrupted; {}\n", outcome);
    action = {};
    action.sa_handler = on_interrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, nullptr);
}

}  // namespace palier::app
