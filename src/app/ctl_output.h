// What `palier ctl` prints of replies, for people. Each returns whole lines, or nothing.
// Thread: any; pure.
#pragma once

#include "app/ctl_text.h"

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace palier::app {

/// One event on one line.
[[nodiscard]] std::string event_text(const nlohmann::json& event, const Palette& palette);

/// The last line of a reply to `command`, without what every last line has.
[[nodiscard]] std::string result_text(std::string_view command, const nlohmann::json& result,
                                      const Palette& palette);

[[nodiscard]] std::string pools_text(const nlohmann::json& result, const Palette& palette);
[[nodiscard]] std::string certificates_text(const nlohmann::json& result, const Palette& palette);

}  // namespace palier::app
