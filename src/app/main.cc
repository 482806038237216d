// The command line (CLI11): which command, with what.
#include "app/commands.h"
#include "app/ctl_command.h"
#include "app/demo_command.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

int main(int argc, char** argv) {
    using namespace palier::app;

    CLI::App app("palier: a Layer-7 load balancer", "palier");
    app.require_subcommand(1);
    app.footer("Exit codes: 0 done, 1 refused, 2 usage.");

    std::string file;
    std::optional<unsigned> workers;
    auto* run = app.add_subcommand("run", "serve in the foreground");
    run->add_option("-c,--config", file, "the configuration file")->required();
    run->add_option("--workers", workers, "threads that serve; default: the file's, or one per CPU")
        ->check(CLI::Range(1, 256));
    std::string former_socket;
    auto* take_over = run->add_option("--take-over", former_socket,
                                      "take the place of the palier that runs, without a pause; if there is "
                                      "one. It answers on SOCKET; default: the file's control_socket")
                          ->type_name("[SOCKET]")
                          ->expected(0, 1);

    auto* check = app.add_subcommand("check", "validate a configuration file");
    check->add_option("-c,--config", file, "the configuration file")->required();

    DemoOptions demo_options;
    auto* demo = app.add_subcommand("demo", "three fronts and a proxy on this machine, no file needed");
    demo->add_option("--port", demo_options.port, "the proxy's port on 127.0.0.1")
        ->check(CLI::Range(1, 65535));
    demo->add_option("--tls-port", demo_options.tls_port, "its port for https; 0: any free one")
        ->check(CLI::Range(0, 65535));
    demo->add_flag("--print-config", demo_options.print_config, "print the proxy's configuration and exit");

    app.add_subcommand("ctl", "give a command to a running palier; see palier ctl --help");
    auto* version = app.add_subcommand("version", "print the version");

    const std::string_view command = argc > 1 ? argv[1] : "";
    // Its words are the control socket's, not this command line's.
    if (command == "ctl") return ctl_command({argv + 2, argv + argc});
    const auto commands = app.get_subcommands({});
    const bool known =
        std::ranges::any_of(commands, [&](const CLI::App* one) { return one->get_name() == command; });
    if (!command.empty() && !command.starts_with('-') && !known) {
        fmt::print(stderr,
                   "palier: there is no command \"{}\"; there are run, check, demo, ctl and version\n",
                   command);
        return kUsage;
    }

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kDone : kUsage;
    }
    if (run->parsed()) {
        return run_command(file, workers,
                           take_over->count() != 0 ? std::optional(former_socket) : std::nullopt);
    }
    if (check->parsed()) return check_command(file);
    if (demo->parsed()) return demo_command(demo_options);
    if (version->parsed()) fmt::print("palier {}\n", PALIER_VERSION);
    return kDone;
}
