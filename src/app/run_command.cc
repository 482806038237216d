#include "app/commands.h"
#include "app/supervisor.h"
#include "palier/config/load.h"
#include "palier/pool/pool_snapshot.h"
#include "palier/tls/check.h"

#include <filesystem>

#include <fmt/core.h>

namespace palier::app {
namespace {

int report(const std::vector<config::Mistake>& mistakes) {
    for (const config::Mistake& mistake : mistakes)
        fmt::print(stderr, "{}\n", mistake.to_string());
    return kRefused;
}

/// False when one of them keeps palier from starting.
bool report(const std::vector<tls::Finding>& findings) {
    bool fine = true;
    for (const tls::Finding& finding : findings) {
        const bool error = finding.severity == tls::Severity::error;
        fmt::print(stderr, "{}{}\n", error ? "" : "warning: ", finding.message);
        fine = fine && !error;
    }
    return fine;
}

}  // namespace

int run_command(const std::string& file, std::optional<unsigned> workers) {
    auto config = config::load_file(file);
    if (!config) return report(config.error());
    if (workers) config->workers = *workers;
    Supervisor supervisor(std::move(*config), {std::filesystem::absolute(file).string(), workers});
    if (const auto started = supervisor.start(); !started) {
        fmt::print(stderr, "palier: {}\n", started.error().message);
        return kRefused;
    }
    supervisor.run();
    return kDone;
}

int check_command(const std::string& file) {
    const auto config = config::load_file(file);
    if (!config) return report(config.error());
    bool fine = report(tls::check(*config));
    if (const auto prepared = pool::StateTable(1).prepare_tls(*config); !prepared) {
        fmt::print(stderr, "{}\n", prepared.error().message);
        fine = false;
    }
    if (!fine) return kRefused;
    fmt::print("{}: ok\n", file);
    return kDone;
}

}  // namespace palier::app
