#include "palier/base/log.h"
#include "palier/config/nearest.h"
#include "palier/control/command.h"
#include "palier/control/command_line.h"
#include "palier/control/events.h"

#include <algorithm>
#include <exception>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

constexpr std::string_view kBy = "by";

std::string unknown_command(std::string_view name, std::span<const Command> commands) {
    std::vector<std::string_view> known;
    for (const Command& command : commands)
        known.push_back(command.name);
    const std::string meant = config::suggestion(name, known);
    return fmt::format("there is no command \"{}\"{}", name, meant.empty() ? "; see help" : meant);
}

std::string unknown_option(std::string_view key, const Command& command) {
    const std::vector<std::string_view> known(command.options.begin(), command.options.end());
    const std::string meant = config::suggestion(key, known);
    return fmt::format("{} has no option \"{}\"{} usage: {}", command.name, key, meant.empty() ? ";" : meant,
                       command.usage);
}

nlohmann::json help_on(std::span<const Command> commands) {
    nlohmann::json list = nlohmann::json::array();
    for (const Command& command : commands)
        list.push_back({{"name", command.name},
                        {"usage", command.usage},
                        {"about", command.about},
                        {"changes", command.changes}});
    return {{"commands", std::move(list)}};
}

/// `by` has its own place in what is told of a change.
std::string line_without_by(Request request) {
    request.options.erase(std::string(kBy));
    return line_of(request);
}

}  // namespace

void CommandTable::add(Command command) {
    const auto same = std::ranges::find(commands_, command.name, &Command::name);
    if (same == commands_.end()) {
        commands_.push_back(std::move(command));
    } else {
        *same = std::move(command);
    }
}

void CommandTable::add_help() {
    add({.name = "help",
         .usage = "help [COMMAND]",
         .about = "what every command is for, or one of them",
         .most_words = 1,
         .options = {},
         .run = [this](const Request& request, const std::shared_ptr<Reply>& reply) {
             if (request.words.empty()) return reply->done(help_on(commands_));
             const Command* command = find(request.words[0]);
             if (command == nullptr) return reply->fail(unknown_command(request.words[0], commands_));
             reply->done(help_on({command, 1}));
         }});
}

const Command* CommandTable::find(std::string_view name) const {
    const auto found = std::ranges::find(commands_, name, &Command::name);
    return found == commands_.end() ? nullptr : &*found;
}

std::string CommandTable::fault_of(const Request& request, const Command& command) const {
    for (const auto& [key, value] : request.options) {
        if (key != kBy && std::ranges::find(command.options, key) == command.options.end())
            return unknown_option(key, command);
    }
    if (request.words.size() < command.least_words || request.words.size() > command.most_words)
        return "usage: " + command.usage;
    return command.changes ? refusal_ : "";
}

void CommandTable::note_change(const Request& request) const {
    const std::string line = line_without_by(request);
    const std::string_view by = request.option(kBy);
    base::log_info("control: {} by uid {} pid {}{}", line, request.peer.uid, request.peer.pid,
                   by.empty() ? "" : fmt::format(" ({})", by));
    if (events_ == nullptr) return;
    events_->tell({{"event", "command"},
                   {"line", line},
                   {"uid", request.peer.uid},
                   {"pid", request.peer.pid},
                   {"by", by}});
}

void CommandTable::run(const Request& request, std::shared_ptr<Reply> reply) const {
    const Command* command = find(request.command);
    if (command == nullptr) return reply->fail(unknown_command(request.command, commands_));
    if (const std::string fault = fault_of(request, *command); !fault.empty()) return reply->fail(fault);
    try {
        if (command->changes) note_change(request);
        command->run(request, reply);
    } catch (const std::exception& error) {
        base::log_error("control: {} failed: {}", request.command, error.what());
        reply->fail(fmt::format("{} failed: {}", request.command, error.what()));
    }
}

}  // namespace palier::control
