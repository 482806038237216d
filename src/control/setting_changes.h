// How a changed setting is told: from what to what, in words for people.
// Thread: values of one comparison, any.
#pragma once

#include "control/setting_text.h"

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace palier::control {

/// Settings that differ, as "retries 2 -> 3, balance …".
class SettingChanges {
  public:
    template <typename T>
    void compare(std::string_view key, const T& before, const T& after) {
        if (before == after) return;
        text_ += fmt::format("{}{} {} -> {}", text_.empty() ? "" : ", ", key, setting_text(before),
                             setting_text(after));
    }
    /// For what is too long to be told.
    void note(std::string_view key, bool differs) {
        if (differs) text_ += fmt::format("{}{}", text_.empty() ? "" : ", ", key);
    }

    /// "SUBJECT: what changed", unless nothing did.
    void add_to(std::vector<std::string>& changed, std::string_view subject) const {
        if (!text_.empty()) changed.push_back(fmt::format("{}: {}", subject, text_));
    }

  private:
    std::string text_;
};

/// The settings of a table of their own, each on a line: "timeouts.server 60s -> 30s".
class SettingLines {
  public:
    SettingLines(std::vector<std::string>& changed, std::string_view prefix)
        : changed_(changed), prefix_(prefix) {}

    template <typename T>
    void compare(std::string_view key, const T& before, const T& after) {
        if (before == after) return;
        changed_.push_back(
            fmt::format("{}{} {} -> {}", prefix_, key, setting_text(before), setting_text(after)));
    }

  private:
    std::vector<std::string>& changed_;
    std::string_view prefix_;
};

}  // namespace palier::control
