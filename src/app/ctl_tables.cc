#include "app/ctl_json.h"
#include "app/ctl_output.h"
#include "palier/pool/transition.h"

#include <fmt/format.h>

namespace palier::app {
namespace {

using nlohmann::json;

Tone tone_of_health(std::string_view health) {
    if (health == "up") return Tone::good;
    if (health == "down") return Tone::bad;
    return health == "falling" || health == "rising" ? Tone::warning : Tone::faint;
}

void add_note(std::string& notes, std::string_view note) {
    if (note.empty()) return;
    if (!notes.empty()) notes += "; ";
    notes += note;
}

/// "drained by anna since 2026-11-20T23:25:01Z until …: new kernel"
std::string decision_text(const json& decision) {
    const std::string by = text_at(decision, "by");
    std::string text =
        text_at(decision, "what") + " by " + (by.empty() ? "uid " + text_at(decision, "uid") : by);
    if (const std::string at = text_at(decision, "at"); !at.empty()) text += " since " + at;
    if (const std::string until = text_at(decision, "until"); !until.empty()) text += " until " + until;
    if (const std::string reason = text_at(decision, "reason"); !reason.empty()) text += ": " + reason;
    return text;
}

std::string notes_of(const json& server) {
    std::string notes;
    if (flag_at(server, "ejected")) add_note(notes, "ejected");
    if (text_at(server, "health") != "up") add_note(notes, text_at(server, "reason"));
    for (const json& decision : list_at(server, "decisions"))
        add_note(notes, decision_text(decision));
    return notes;
}

Cell health_cell(const json& server) {
    const std::string health = text_at(server, "health");
    std::string text = health;
    if (!health.empty() && server.contains("health_since_ms"))
        text += ' ' + pool::duration_text(number_at(server, "health_since_ms"));
    return {.text = text, .tone = flag_at(server, "ejected") ? Tone::bad : tone_of_health(health)};
}

std::string weight_text(const json& server) {
    const std::string weight = text_at(server, "weight");
    const std::string configured = text_at(server, "configured_weight");
    return configured.empty() || configured == weight ? weight : fmt::format("{} of {}", weight, configured);
}

std::vector<Cell> server_row(const json& server) {
    const std::string admin = text_at(server, "admin");
    const std::string tier = text_at(server, "tier");
    return {{.text = text_at(server, "name")},
            {.text = text_at(server, "address")},
            {.text = text_at(server, "role") + (flag_at(server, "local") ? " local" : "")},
            {.text = tier},
            health_cell(server),
            {.text = admin, .tone = admin == "enabled" ? Tone::plain : Tone::warning},
            {.text = weight_text(server)},
            {.text = text_at(server, "in_flight")},
            {.text = text_at(server, "tunnels")},
            {.text = text_at(server, "connections")},
            {.text = text_at(server, "exchanges")},
            {.text = text_at(server, "failures")},
            {.text = notes_of(server)}};
}

/// "roll-out interrupted: front2, step hook"; `rollout POOL status` has all of it.
std::string rollout_note(const json& pool) {
    if (!pool.contains("rollout")) return "";
    const json& rollout = object_at(pool, "rollout");
    std::string note = text_at(rollout, "why");
    if (note.empty()) {
        for (const json& at : list_at(rollout, "at"))
            add_note(note, fmt::format("{}, step {}", text_at(at, "server"), text_at(at, "step")));
    }
    return fmt::format("roll-out {}{}{}", text_at(rollout, "state"), note.empty() ? "" : ": ", note);
}

std::string pool_text(const json& pool, const Palette& palette) {
    std::string notes;
    for (const json& decision : list_at(pool, "decisions"))
        add_note(notes, decision_text(decision));
    if (flag_at(pool, "held_by_passive"))
        add_note(notes, "held by passive servers until an active one is enabled");
    add_note(notes, rollout_note(pool));
    using enum TextTable::Align;
    TextTable table({{.title = "SERVER"},
                     {.title = "ADDRESS"},
                     {.title = "ROLE"},
                     {.title = "TIER"},
                     {.title = "HEALTH"},
                     {.title = "ADMIN"},
                     {.title = "WEIGHT", .align = right},
                     {.title = "IN FLIGHT", .align = right},
                     {.title = "TUNNELS", .align = right},
                     {.title = "CONNS", .align = right},
                     {.title = "TOTAL", .align = right},
                     {.title = "FAILED", .align = right},
                     {.title = "NOTES"}});
    for (const json& server : list_at(pool, "servers"))
        table.add(server_row(server));
    std::string title = palette.paint(text_at(pool, "name"), Tone::strong);
    if (!notes.empty()) title += "  " + palette.paint(notes, Tone::warning);
    return title + '\n' + table.text(palette, "  ");
}

/// What is kept for something that is not configured.
std::string aside_text(const json& aside, const Palette& palette) {
    const std::string server = text_at(aside, "server");
    std::string notes = "not configured";
    for (const json& decision : list_at(aside, "decisions"))
        add_note(notes, decision_text(decision));
    return fmt::format("\n{}{}  {}\n", palette.paint(text_at(aside, "pool"), Tone::strong),
                       server.empty() ? "" : '/' + server, palette.paint(notes, Tone::warning));
}

Tone tone_of_days(const json& certificate) {
    const auto days = certificate.find("days_left");
    if (days == certificate.end() || !days->is_number()) return Tone::plain;
    return *days < 7 ? Tone::bad : *days < 21 ? Tone::warning : Tone::plain;
}

}  // namespace

std::string pools_text(const json& result, const Palette& palette) {
    std::string text;
    for (const json& pool : list_at(result, "pools")) {
        if (!text.empty()) text += '\n';
        text += pool_text(pool, palette);
    }
    for (const json& aside : list_at(result, "aside"))
        text += aside_text(aside, palette);
    return text;
}

std::string certificates_text(const json& result, const Palette& palette) {
    TextTable table({{.title = "DAYS", .align = TextTable::Align::right},
                     {.title = "EXPIRES"},
                     {.title = "KEY"},
                     {.title = "FILE"},
                     {.title = "NAMES"}});
    for (const json& certificate : list_at(result, "certificates"))
        table.add({{.text = text_at(certificate, "days_left"), .tone = tone_of_days(certificate)},
                   {.text = text_at(certificate, "not_after")},
                   {.text = text_at(certificate, "key_type")},
                   {.text = text_at(certificate, "file")},
                   {.text = brief(list_at(certificate, "names"))}});
    std::string text = table.empty() ? "no certificates\n" : table.text(palette);
    for (const json& problem : list_at(result, "problems"))
        text += palette.paint(fmt::format("! {}: {}\n", text_at(problem, "file"), text_at(problem, "reason")),
                              Tone::bad);
    return text;
}

}  // namespace palier::app
