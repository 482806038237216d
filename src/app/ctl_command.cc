#include "app/ctl_command.h"

#include "app/commands.h"
#include "app/ctl_connection.h"
#include "app/ctl_interrupt.h"
#include "app/ctl_json.h"
#include "app/ctl_output.h"
#include "palier/base/utf8.h"
#include "palier/config/nearest.h"
#include "palier/control/command_line.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <optional>

#include <fmt/format.h>

namespace palier::app {
namespace {

using nlohmann::json;

constexpr const char* kDefaultSocket = "/run/palier/control.sock";
constexpr std::string_view kNames = "__names";

constexpr std::string_view kUsageText =
    "usage: palier ctl [-s SOCKET] [--json] [--by NAME] COMMAND [WORD ...] [KEY=VALUE ...]\n"
    "\n"
    "Gives a command to a running palier and prints its answer.\n"
    "\n"
    "  -s, --socket SOCKET  its control_socket; default: $PALIER_SOCKET, or /run/palier/control.sock\n"
    "      --json           print the lines as palier sends them\n"
    "      --by NAME        who you are, for its log and for those who look at pools\n"
    "  -h, --help           this\n"
    "\n"
    "`palier ctl help` lists the commands, `palier ctl help COMMAND` is about one.\n"
    "Exit codes: 0 done, 1 refused or nobody there, 2 usage. Ctrl-C ends this program, not what it asked "
    "for.\n";

struct Arguments {
    std::string socket;
    bool json = false;
    bool help = false;
    std::optional<std::string> by;
    std::vector<std::string> words;
};

std::string default_socket() {
    const char* set = std::getenv("PALIER_SOCKET");
    return set != nullptr && *set != '\0' ? set : kDefaultSocket;
}

/// Options may stand anywhere before "--". The error is a sentence.
class ArgumentReader {
  public:
    explicit ArgumentReader(const std::vector<std::string>& arguments) : arguments_(arguments) {}

    [[nodiscard]] std::expected<Arguments, std::string> read() {
        Arguments read;
        read.socket = default_socket();
        bool options = true;
        for (; at_ < arguments_.size(); ++at_) {
            const std::string& argument = arguments_[at_];
            if (!options || argument.size() < 2 || argument.front() != '-') {
                read.words.push_back(argument);
            } else if (argument == "--") {
                options = false;
            } else if (argument == "--json") {
                read.json = true;
            } else if (argument == "-h" || argument == "--help") {
                read.help = true;
            } else if (const auto socket = value_of("--socket", "-s")) {
                read.socket = *socket;
            } else if (const auto by = value_of("--by", "")) {
                read.by = *by;
            } else {
                return std::unexpected(fault_of(argument));
            }
        }
        return read;
    }

  private:
    /// Of an option that was not taken.
    [[nodiscard]] static std::string fault_of(std::string_view argument) {
        constexpr std::array<std::string_view, 4> kKnown{"--socket", "--json", "--by", "--help"};
        if (argument == "-s" || argument == "--socket" || argument == "--by")
            return fmt::format("{} wants a value", argument);
        return fmt::format("there is no option {}{}", argument,
                           config::suggestion(argument.substr(0, argument.find('=')), kKnown));
    }

    /// NAME VALUE, NAME=VALUE or, of one letter, -sVALUE.
    [[nodiscard]] std::optional<std::string> value_of(std::string_view name, std::string_view letter) {
        const std::string_view argument = arguments_[at_];
        if (argument == name || argument == letter) {
            if (at_ + 1 == arguments_.size()) return std::nullopt;
            return arguments_[++at_];
        }
        if (argument.starts_with(name) && argument.substr(name.size()).starts_with('='))
            return std::string(argument.substr(name.size() + 1));
        if (!letter.empty() && argument.starts_with(letter))
            return std::string(argument.substr(letter.size()));
        return std::nullopt;
    }

    const std::vector<std::string>& arguments_;
    std::size_t at_ = 0;
};

/// "" where one of `words` is not fit for a line: it would begin another one.
std::string wire_line(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words) {
        const bool control = std::ranges::any_of(
            word, [](const char& byte) { return base::is_control(std::string_view(&byte, 1)); });
        if (control) return "";
        if (!line.empty()) line += ' ';
        line += control::quoted(word);
    }
    return line;
}

void print(std::FILE* file, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), file);
    std::fflush(file);
}

/// A warning, or several.
void print_warnings(const json& line) {
    const auto warning = line.find("warning");
    if (warning == line.end() || warning->is_null()) return;
    const json& all = warning->is_array() ? *warning : json::array({*warning});
    for (const json& one : all)
        print(stderr, fmt::format("warning: {}\n", brief(one)));
}

/// Prints the lines of one reply.
class ReplyPrinter {
  public:
    ReplyPrinter(std::string command, bool raw) : command_(std::move(command)), raw_(raw) {}

    /// The exit code, after the last line.
    [[nodiscard]] std::optional<int> take(const std::string& text) {
        const json line = json::parse(text, nullptr, false);
        if (raw_) print(stdout, text + '\n');
        if (!line.is_object()) {
            print(stderr, fmt::format("palier ctl: what answers is no palier: {}\n", shown(text)));
            return kRefused;
        }
        if (!raw_) print_warnings(line);
        if (!flag_at(line, "done")) {
            if (!raw_) print(stdout, event_text(line, palette_));
            return std::nullopt;
        }
        if (!raw_) print_last(line);
        return flag_at(line, "ok") ? kDone : kRefused;
    }

  private:
    void print_last(const json& line) {
        print(stdout, result_text(command_, line, palette_));
        if (!flag_at(line, "ok")) print(stderr, fmt::format("palier ctl: {}\n", text_at(line, "error")));
    }

    std::string command_;
    bool raw_;
    Palette palette_ = Palette::of_stdout();
};

int converse(const Arguments& arguments, const std::string& line) {
    auto connection = CtlConnection::open(arguments.socket);
    if (!connection) {
        print(stderr, fmt::format("palier ctl: {}\n", connection.error().message));
        return kRefused;
    }
    tell_when_interrupted(arguments.words);
    connection->send(line);
    ReplyPrinter printer(arguments.words.front(), arguments.json);
    while (const auto answer = connection->receive()) {
        if (const auto code = printer.take(*answer)) return *code;
    }
    print(stderr, "palier ctl: palier closed the connection before its answer was complete\n");
    return kRefused;
}

/// The last line of the reply to `line`; null when there is none.
json ask(const std::string& socket, std::string_view line) {
    auto connection = CtlConnection::open(socket);
    if (!connection) return nullptr;
    connection->send(line);
    while (const auto answer = connection->receive()) {
        json parsed = json::parse(*answer, nullptr, false);
        if (!parsed.is_object() || flag_at(parsed, "done")) return parsed;
    }
    return nullptr;
}

/// For the completions: what there is, a line each, and silence where nobody answers.
int names_command(const Arguments& arguments) {
    const std::string_view kind = arguments.words.size() > 1 ? std::string_view(arguments.words[1]) : "";
    const json answer = ask(arguments.socket, kind == "commands" ? "help" : "pools");
    if (kind == "commands") {
        for (const json& command : list_at(answer, "commands"))
            fmt::print("{}\n", text_at(command, "usage"));
        return kDone;
    }
    for (const json& pool : list_at(answer, "pools")) {
        const std::string name = text_at(pool, "name");
        if (kind != "servers") fmt::print("{}\n", name);
        if (kind == "pools") continue;
        for (const json& server : list_at(pool, "servers"))
            fmt::print("{}/{}\n", name, text_at(server, "name"));
    }
    return kDone;
}

}  // namespace

int ctl_command(const std::vector<std::string>& words) {
    auto arguments = ArgumentReader(words).read();
    if (!arguments) {
        print(stderr, fmt::format("palier ctl: {}\n{}", arguments.error(), kUsageText));
        return kUsage;
    }
    if (arguments->help) {
        print(stdout, kUsageText);
        return kDone;
    }
    if (arguments->words.empty()) {
        print(stderr, kUsageText);
        return kUsage;
    }
    if (arguments->words.front() == kNames) return names_command(*arguments);
    std::vector<std::string> sent = arguments->words;
    if (arguments->by) sent.push_back("by=" + *arguments->by);
    const std::string line = wire_line(sent);
    if (line.empty()) {
        print(stderr, "palier ctl: a line has no control characters, such as the end of a line\n");
        return kUsage;
    }
    return converse(*arguments, line);
}

}  // namespace palier::app
