#include "app/ctl_json.h"
#include "app/ctl_output.h"
#include "palier/pool/transition.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace palier::app {
namespace {

using nlohmann::json;

/// web/front1: up -> down after 3m12s: HTTP 503
std::string server_text(const json& event, const Palette& palette) {
    const std::string to = text_at(event, "to");
    const Tone tone = to == "up" || to == "in use"      ? Tone::good
                      : to == "down" || to == "ejected" ? Tone::bad
                                                        : Tone::warning;
    return fmt::format("{}: {} -> {} after {}: {}", text_at(event, "server"), text_at(event, "from"),
                       palette.paint(to, tone), pool::duration_text(number_at(event, "after_ms")),
                       text_at(event, "reason"));
}

/// drain web/front1 (anna, uid 0, pid 4711)
std::string command_text(const json& event) {
    const std::string by = text_at(event, "by");
    return fmt::format("{} ({}{}uid {}, pid {})", text_at(event, "line"), by, by.empty() ? "" : ", ",
                       text_at(event, "uid"), text_at(event, "pid"));
}

std::string place_of(const json& event) {
    const std::string server = text_at(event, "server");
    return text_at(event, "pool") + (server.empty() ? "" : '/' + server);
}

/// web/front1: warm: /health answered 200
std::string rollout_text(const json& event, const Palette& palette) {
    const std::string step = text_at(event, "step");
    const std::string detail = text_at(event, "detail");
    const bool bad = step == "failed" || step == "stopped" || step == "aborted" || step == "unkept";
    const Tone tone = bad ? Tone::bad : step == "done" || step == "finished" ? Tone::good : Tone::plain;
    return fmt::format("{}: {}{}{}", place_of(event), palette.paint(step, tone), detail.empty() ? "" : ": ",
                       detail);
}

/// A line that a roll-out's hook wrote: web/front1 | restarting
std::string output_text(const json& event, const Palette& palette) {
    const Tone tone = text_at(event, "stream") == "stderr" ? Tone::warning : Tone::plain;
    return fmt::format("{} | {}", place_of(event), palette.paint(text_at(event, "line"), tone));
}

constexpr std::array<std::string_view, 5> kFirst{"pool", "server", "step", "state", "line"};

/// Whether its text begins with what it is about.
bool placed(const json& event) {
    return std::ranges::any_of(kFirst, [&](std::string_view key) { return event.contains(key); });
}

/// Whatever it tells, as "key value" in an order that reads well.
std::string other_text(const json& event) {
    std::string text;
    const auto add = [&](std::string_view key, const json& value, bool named) {
        const std::string shown_value = brief(key, value);
        if (shown_value.empty()) return;
        if (!text.empty()) text += named ? ", " : " ";
        text += named ? title_of(key) + ' ' + shown_value : shown_value;
    };
    for (const std::string_view key : kFirst) {
        if (const auto found = event.find(key); found != event.end()) add(key, *found, false);
    }
    for (const auto& [key, value] : event.items()) {
        if (key != "event" && key != "time" && std::ranges::find(kFirst, key) == kFirst.end())
            add(key, value, true);
    }
    return text;
}

}  // namespace

std::string event_text(const json& event, const Palette& palette) {
    const std::string kind = text_at(event, "event");
    std::string text;
    if (const std::string time = text_at(event, "time"); !time.empty())
        text += palette.paint(time, Tone::faint) + "  ";
    const std::string rest = kind == "server"    ? server_text(event, palette)
                             : kind == "command" ? command_text(event)
                             : kind == "rollout" ? rollout_text(event, palette)
                             : kind == "output"  ? output_text(event, palette)
                                                 : other_text(event);
    text += palette.paint(kind, Tone::strong);
    if (!kind.empty() && !rest.empty()) text += placed(event) ? " " : ": ";
    return text + rest + '\n';
}

}  // namespace palier::app
