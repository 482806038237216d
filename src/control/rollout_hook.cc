#include "control/rollout_hook.h"

#include "palier/base/utf8.h"
#include "palier/config/units.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::size_t kMostQuoted = 200;  // bytes of the last line, in a fault

std::vector<std::string> argv_of(const RolloutHook::Settings& settings, const RolloutPlace& place) {
    if (settings.shell) return {"/bin/sh", "-c", filled_for_shell(settings.command, place)};
    std::vector<std::string> argv;
    // Its words were checked before the roll-out began.
    for (const std::string& word : split_words(settings.command).value_or(std::vector<std::string>{}))
        argv.push_back(filled(word, place));
    return argv;
}

/// The length of a terminal's control sequence (ECMA-48) at the front, or 0: colours, mostly.
std::size_t sequence_size(std::string_view text) {
    if (!text.starts_with("\x1b[")) return 0;
    const auto final =
        std::find_if(text.begin() + 2, text.end(), [](char c) { return c < 0x20 || c > 0x3f; });
    return static_cast<std::size_t>(final - text.begin()) + (final == text.end() ? 0 : 1);
}

std::string shortened(std::string_view line) {
    if (line.size() <= kMostQuoted) return std::string(line);
    std::size_t size = 0;
    while (size + base::utf8_size(line.substr(size)) <= kMostQuoted)
        size += base::utf8_size(line.substr(size));
    return std::string(line.substr(0, size)) + "…";
}

}  // namespace

std::string tame(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
        std::size_t size = sequence_size(bytes);
        if (size == 0) {
            size = base::utf8_size(bytes);
            if (size == 0) {
                text += kReplacement;
            } else if (bytes.front() == '\t') {
                text += ' ';
            } else if (!base::is_control(bytes.substr(0, size))) {
                text += bytes.substr(0, size);
            }
        }
        bytes.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return text;
}

RolloutHook::RolloutHook(net::Loop& loop, Settings settings, OnLine on_line, OnEnd on_end)
    : loop_(loop),
      settings_(std::move(settings)),
      on_line_(std::move(on_line)),
      on_end_(std::move(on_end)),
      deadline_(base::Timer::calling<&RolloutHook::on_deadline>(this)) {}

base::Result<void> RolloutHook::start(const RolloutPlace& place) {
    auto started =
        net::Process::start(loop_, {.argv = argv_of(settings_, place),
                                    .environment = {{"PALIER_POOL", place.pool},
                                                    {"PALIER_SERVER", place.server},
                                                    {"PALIER_ADDRESS", place.address},
                                                    {"PALIER_NODE", place.node},
                                                    // Readiness is palier's to tell.
                                                    {"NOTIFY_SOCKET", std::nullopt}},
                                    .on_line = [this](const net::Process::Line& line) { on_output(line); },
                                    .on_end = [this](const net::Process::End& end) { on_exit(end); }});
    if (!started) return std::unexpected(std::move(started.error()));
    process_ = std::move(*started);
    loop_.timers().arm(deadline_, loop_.now_ms() + static_cast<std::uint64_t>(settings_.timeout.count()));
    return {};
}

void RolloutHook::terminate() {
    if (process_) process_->terminate(settings_.grace_ms);
}

void RolloutHook::on_deadline() {
    late_ = true;
    process_->terminate(settings_.grace_ms);
}

void RolloutHook::on_output(const net::Process::Line& line) {
    if (line.dropped > 0)
        on_line_(line.stream, fmt::format("({} lines were left out here: too many at once)", line.dropped));
    last_line_ = tame(line.text);
    on_line_(line.stream, line.cut ? last_line_ + "…" : last_line_);
}

void RolloutHook::on_exit(const net::Process::End& end) {
    base::TimerWheel::disarm(deadline_);
    std::string fault = end.well() && !late_ ? "" : end.words();
    if (late_) fault = fmt::format("not done within {}: {}", config::to_text(settings_.timeout), end.words());
    if (!fault.empty() && !last_line_.empty())
        fault += fmt::format("; it said last: {}", shortened(last_line_));
    on_end_(fault);
}

}  // namespace palier::control
