#include "app/ctl_output.h"

#include "app/ctl_json.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

namespace palier::app {
namespace {

using nlohmann::json;

using Keys = std::vector<std::string_view>;

bool is_list_of_objects(const json& value) {
    return value.is_array() && !value.empty() &&
           std::ranges::all_of(value, [](const json& one) { return one.is_object(); });
}

/// The keys of an object: those of `first` that it has, then the others.
Keys ordered_keys(const json& object, const Keys& first) {
    Keys keys;
    for (const std::string_view key : first) {
        if (object.contains(key)) keys.push_back(key);
    }
    for (const auto& entry : object.items()) {
        if (std::ranges::find(keys, std::string_view(entry.key())) == keys.end()) {
            keys.push_back(entry.key());
        }
    }
    return keys;
}

/// key  value, a line each; of a list of objects, a line for each of them.
std::string pairs_text(const json& object, const Keys& first, const Palette& palette) {
    TextTable table({{.title = ""}, {.title = ""}});
    for (const std::string_view key : ordered_keys(object, first)) {
        const json& value = *object.find(key);
        if (!is_list_of_objects(value)) {
            if (const std::string text = brief(key, value); !text.empty())
                table.add({{.text = title_of(key), .tone = Tone::faint}, {.text = text}});
            continue;
        }
        std::string title = title_of(key);
        for (const json& one : value)
            table.add({{.text = std::exchange(title, ""), .tone = Tone::faint}, {.text = brief(one)}});
    }
    return table.text(palette);
}

/// "17 of 64 MiB"; what it has come to only where it has.
std::string memory_text(const json& memory) {
    constexpr std::uint64_t kMiB = 1 << 20;
    const std::uint64_t limit = number_at(memory, "limit") / kMiB;
    std::string text =
        limit == 0 ? "no limit" : fmt::format("{} of {} MiB", number_at(memory, "used") / kMiB, limit);
    if (const std::string pressure = text_at(memory, "pressure"); pressure != "none")
        text += fmt::format(", {} pressure", pressure);
    if (const std::uint64_t shortages = number_at(memory, "shortages"); shortages != 0) {
        text += fmt::format(", short {} time{}: {} idle connections closed, {} requests refused", shortages,
                            shortages == 1 ? "" : "s", number_at(memory, "closed_idle"),
                            number_at(memory, "refused"));
    }
    return text;
}

std::string status_text(json result, const Palette& palette) {
    if (const json& memory = object_at(result, "memory"); !memory.empty())
        result["memory"] = memory_text(memory);
    return pairs_text(result,
                      {"version", "pid", "uptime_ms", "ready", "obstacles", "generation", "workers",
                       "connections", "exchanges", "tunnels"},
                      palette);
}

std::string reload_text(const json& result, const Palette& palette) {
    struct Kind {
        std::string_view key;
        char sign;
        Tone tone;
    };
    static constexpr std::array kKinds{Kind{"added", '+', Tone::good}, Kind{"changed", '~', Tone::warning},
                                       Kind{"removed", '-', Tone::bad}};
    const json& changes = object_at(result, "changes");
    std::string text;
    for (const Kind& kind : kKinds) {
        for (const json& change : list_at(changes, kind.key))
            text += palette.paint(fmt::format("{} {}", kind.sign, brief(change)), kind.tone) + '\n';
    }
    for (const json& change : list_at(changes, "needs_restart"))
        text +=
            palette.paint(fmt::format("! {}: needs a restart or an upgrade", brief(change)), Tone::warning) +
            '\n';
    if (text.empty()) text = "nothing changes\n";
    json rest = result;
    rest.erase("changes");
    return text + pairs_text(rest, {"generation", "closes", "dry_run"}, palette);
}

/// A line each. One that is the error itself, which is printed anyway, is told once.
std::string errors_text(const json& errors, const json& error) {
    if (errors == json::array({error})) return "";
    std::string text;
    for (const json& one : errors)
        text += brief(one) + '\n';
    return text;
}

/// Broken at spaces, where lines would be longer than a terminal is wide.
std::string wrapped(std::string_view text) {
    constexpr std::size_t kWidth = 80;
    constexpr std::string_view kIndent = "\n        ";
    std::string lines;
    std::size_t column = 0;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), word.size() + 1));
        const std::size_t width = width_of(word);
        if (column != 0 && column + 1 + width > kWidth) {
            lines += kIndent;
            column = kIndent.size() - 1;
        } else if (column != 0) {
            lines += ' ';
            ++column;
        }
        lines += word;
        column += width;
    }
    return lines;
}

std::string help_text(const json& result, const Palette& palette) {
    std::string text;
    for (const json& command : list_at(result, "commands"))
        text += fmt::format("{}\n    {}\n", palette.paint(wrapped(text_at(command, "usage")), Tone::strong),
                            text_at(command, "about"));
    return text;
}

/// Of a decision, or of a roll-out: what it is about, and how that is now.
std::string outcome_text(std::string_view command, json result, const Palette& palette) {
    if (command == "only" && result.contains("only") && text_at(result, "only").empty())
        result["only"] = "off";
    if (command == "rollout") result.erase("next");  // its last event has told
    return pairs_text(result,
                      {"server", "pool", "state", "why", "admin", "drained", "only", "maintenance", "weight",
                       "in_flight", "tunnels", "updated", "failed", "skipped", "at", "untouched"},
                      palette);
}

}  // namespace

std::string result_text(std::string_view command, const json& result, const Palette& palette) {
    if (const json& errors = list_at(result, "errors"); !errors.empty())
        return errors_text(errors, result.value("error", json()));
    json rest = result;
    for (const char* key : {"done", "ok", "error", "warning"})
        rest.erase(key);
    if (rest.contains("pools") && command == "pools") return pools_text(rest, palette);
    if (rest.contains("certificates")) return certificates_text(rest, palette);
    if (command == "status") return status_text(rest, palette);
    if (rest.contains("changes")) return reload_text(rest, palette);
    if (command == "help") return help_text(rest, palette);
    return outcome_text(command, std::move(rest), palette);
}

}  // namespace palier::app
