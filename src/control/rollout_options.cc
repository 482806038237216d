#include "control/rollout_options.h"

#include "control/rollout_words.h"
#include "palier/config/nearest.h"
#include "palier/config/units.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

using Read = base::Result<void> (*)(std::string_view text, RolloutOptions& options);

constexpr std::uint32_t kMostServers = 65'535;

base::Result<void> read_text(std::string_view text, std::string& to) {
    to = text;
    return {};
}

base::Result<void> read_flag(std::string_view text, std::string_view yes, std::string_view no, bool& to) {
    if (text != yes && text != no) return base::failure(fmt::format("must be {} or {}", yes, no));
    to = text == yes;
    return {};
}

base::Result<void> read_number(std::string_view text, std::uint32_t least, std::uint32_t& to) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number < least || number > kMostServers)
        return base::failure(fmt::format("must be a number from {} to {}", least, kMostServers));
    to = number;
    return {};
}

base::Result<void> read_duration(std::string_view text, bool may_be_none, config::Duration& to) {
    auto duration = config::parse_duration(text);
    if (!duration)
        return base::failure(fmt::format("must be a duration such as 30s, not {}", duration.error().message));
    if (*duration == config::Duration::zero() && !may_be_none) return base::failure("must be more than 0");
    to = *duration;
    return {};
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t comma = text.find(',');
        std::string_view part = text.substr(0, comma);
        while (part.starts_with(' '))
            part.remove_prefix(1);
        while (part.ends_with(' '))
            part.remove_suffix(1);
        parts.emplace_back(part);
        if (comma == std::string_view::npos) return parts;
        text.remove_prefix(comma + 1);
    }
}

/// Bytes that may stand in a request's target or a Host.
bool sendable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

base::Result<void> read_paths(std::string_view text, RolloutOptions& options) {
    options.warm = split_list(text);
    for (const std::string& path : options.warm) {
        if (!path.starts_with('/') || !sendable(path) || path.find('#') != std::string::npos)
            return base::failure(fmt::format(
                "\"{}\" is no path: each begins with /, and what is not ASCII or a space is percent-encoded",
                path));
    }
    return {};
}

base::Result<void> read_servers(std::string_view text, RolloutOptions& options) {
    options.servers = split_list(text);
    for (const std::string& server : options.servers) {
        if (server.empty()) return base::failure("has an empty name");
        if (std::ranges::count(options.servers, server) > 1)
            return base::failure(fmt::format("names \"{}\" twice", server));
    }
    return {};
}

base::Result<void> read_host(std::string_view text, RolloutOptions& options) {
    if (text.empty() || !sendable(text)) return base::failure("must be a host name");
    return read_text(text, options.warm_host);
}

/// A hook that cannot be run as it is written is told now, and not once a server is out.
base::Result<void> check_command(const std::string& command, bool shell) {
    auto words = split_words(command);
    // A script's quotes are the shell's to judge.
    if (!words && !(shell && words.error().message.starts_with("a quote")))
        return std::unexpected(std::move(words.error()));
    return {};
}

const std::vector<std::pair<std::string_view, Read>>& readers() {
    using Options = RolloutOptions;
    using Text = std::string_view;
    static const std::vector<std::pair<std::string_view, Read>> all{
        {"run", [](Text text, Options& to) { return read_text(text, to.run); }},
        {"undo", [](Text text, Options& to) { return read_text(text, to.undo); }},
        {"shell", [](Text text, Options& to) { return read_flag(text, "true", "false", to.shell); }},
        {"batch", [](Text text, Options& to) { return read_number(text, 1, to.batch); }},
        {"min_available", [](Text text, Options& to) { return read_number(text, 0, to.min_available); }},
        {"wait", [](Text text, Options& to) { return read_duration(text, false, to.wait); }},
        {"timeout", [](Text text, Options& to) { return read_duration(text, false, to.timeout); }},
        {"warm", &read_paths},
        {"warm_host", &read_host},
        {"warm_timeout", [](Text text, Options& to) { return read_duration(text, false, to.warm_timeout); }},
        {"soak", [](Text text, Options& to) { return read_duration(text, true, to.soak); }},
        {"tunnels",
         [](Text text, Options& to) { return read_flag(text, "close", "wait", to.close_tunnels); }},
        {"servers", &read_servers},
        {"reason", [](Text text, Options& to) { return read_text(text, to.reason); }},
        {"by", [](Text text, Options& to) { return read_text(text, to.by); }},
    };
    return all;
}

}  // namespace

base::Result<RolloutOptions> parse_rollout_options(const OptionTexts& texts) {
    RolloutOptions options;
    for (const auto& [key, text] : texts) {
        const auto reader = std::ranges::find(readers(), key, [](const auto& known) { return known.first; });
        if (reader == readers().end()) return base::failure(fmt::format("{}= is unknown", key));
        if (const auto read = reader->second(text, options); !read)
            return base::failure(fmt::format("{}= {}", key, read.error().message));
    }
    if (const auto fit = check_command(options.run, options.shell); !fit)
        return base::failure("run= " + fit.error().message);
    if (texts.contains("undo")) {
        if (const auto fit = check_command(options.undo, options.shell); !fit)
            return base::failure("undo= " + fit.error().message);
    }
    return options;
}

base::Result<RolloutOptions> parse_rollout_options(const OptionTexts& texts, const config::PoolConfig& pool) {
    auto options = parse_rollout_options(texts);
    if (!options) return options;
    std::vector<std::string_view> known;
    for (const config::ServerConfig& server : pool.servers)
        known.push_back(server.name);
    for (const std::string& server : options->servers) {
        if (std::ranges::find(known, server) == known.end())
            return base::failure(fmt::format("servers= pool {} has no server \"{}\"{}", pool.name, server,
                                             config::suggestion(server, known)));
    }
    const std::size_t out = std::min<std::size_t>(options->batch, known.size());
    if (options->min_available > known.size() - out)
        return base::failure(
            fmt::format("min_available={} cannot be: {} has {} server(s), of which {} would be out at a time",
                        options->min_available, pool.name, known.size(), out));
    return options;
}

std::vector<std::string> rollout_option_keys() {
    std::vector<std::string> keys;
    for (const auto& [key, read] : readers())
        keys.emplace_back(key);
    return keys;
}

}  // namespace palier::control
