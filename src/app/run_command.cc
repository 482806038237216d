#include "app/commands.h"
#include "app/supervisor.h"
#include "palier/base/log.h"
#include "palier/config/load.h"
#include "palier/control/take_over.h"
#include "palier/pool/pool_snapshot.h"
#include "palier/tls/check.h"

#include <filesystem>
#include <memory>
#include <utility>

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

int refused(const base::Error& error) {
    fmt::print(stderr, "palier: {}\n", error.message);
    return kRefused;
}

/// A reload names the file in the same way, for the paths in it are told apart by their text.
std::string absolute(const std::string& file) {
    std::error_code error;
    const auto path = std::filesystem::absolute(file, error);
    return error ? file : path.string();
}

/// The palier that runs; none where nobody answers.
base::Result<std::optional<control::TakeOver>> predecessor(const std::string& control_socket) {
    if (control_socket.empty())
        return base::failure("there is no control_socket on which a palier could be asked for its place");
    auto former = control::TakeOver::from(control_socket, PALIER_VERSION);
    if (former && !*former)
        base::log_info("nobody answers on {}: there is no palier whose place to take", control_socket);
    return former;
}

}  // namespace

int run_command(const std::string& given, std::optional<unsigned> workers,
                const std::optional<std::string>& take_over) {
    const std::string file = absolute(given);
    auto config = config::load_file(file);
    if (!config) return report(config.error());
    if (workers) config->workers = *workers;
    auto former = take_over ? predecessor(take_over->empty() ? config->control_socket : *take_over)
                            : std::optional<control::TakeOver>();
    if (!former) return refused(former.error());
    std::unique_ptr<Forwarder> forwarder;
    {
        Supervisor supervisor(std::move(*config), {file, workers}, std::move(*former));
        if (const auto started = supervisor.start(); !started) return refused(started.error());
        supervisor.run();
        forwarder = supervisor.take_forwarder();
    }
    return forwarder ? forward(*forwarder) : kDone;
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
