// RolloutRecord: how far a roll-out has come, as the overlay keeps it, so that a palier that was killed knows of it.
// Written at each step. Gone once the roll-out is done or was aborted.
// Thread: control only; a value.
#pragma once

#include "control/rollout_options.h"
#include "palier/base/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace palier::control {

struct RolloutRecord {
    /// A server that has begun and is not done.
    struct At {
        std::string step;
        bool drained = false;        // by the roll-out: it is to be resumed or enabled
        int hook = 0;                // process id, while one runs; 0: none
        std::string hook_born = {};  // when, as the kernel counts: tells it from a later process of that id

        friend bool operator==(const At&, const At&) = default;
    };
    struct Failure {
        std::string server;
        std::string step;
        std::string why;
        std::string undo;  // how `undo` ended; "" where there was none

        friend bool operator==(const Failure&, const Failure&) = default;
    };

    OptionTexts options;
    std::uint32_t uid = 0;
    std::int32_t pid = 0;
    std::int64_t started_ms = 0;  // since 1970
    std::vector<std::string> order;
    std::vector<std::string> done;
    std::map<std::string, std::string, std::less<>> skipped;  // and why
    std::map<std::string, At, std::less<>> at;
    std::vector<Failure> failed;
    std::string stopped;  // why it stopped; "": it runs, or palier was killed

    friend bool operator==(const RolloutRecord&, const RolloutRecord&) = default;

    [[nodiscard]] nlohmann::json to_json() const;
    /// Whatever is wrong with it, in a sentence: the file may have been edited.
    [[nodiscard]] static base::Result<RolloutRecord> from_json(const nlohmann::json& json);

    [[nodiscard]] bool is_done(std::string_view server) const;
    /// Those that have not begun.
    [[nodiscard]] std::vector<std::string> untouched() const;
    /// Those that it has drained and not put back.
    [[nodiscard]] std::vector<std::string> drained() const;
    /// "front2, step hook"
    [[nodiscard]] std::string place() const;
    /// updated (those that are done), failed, skipped, at, untouched, drained and started, for replies.
    [[nodiscard]] nlohmann::json standing() const;
};

/// When the process of this id began; "" if there is none, or it has ended.
[[nodiscard]] std::string birth_of_process(int pid);

}  // namespace palier::control
