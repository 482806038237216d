// Who changed something, when and until when, as JSON and as text for people.
// Thread: any.
#pragma once

#include "palier/base/result.h"
#include "palier/control/overlay.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace palier::control {

/// Milliseconds since 1970, now.
[[nodiscard]] std::int64_t wall_ms();

/// RFC 3339 in UTC: "2026-11-20T23:25:01.123Z". Times outside of the years 1970 to 9999 become the nearest inside.
[[nodiscard]] std::string time_text(std::int64_t ms);
/// The way back; a fraction may be missing or have up to nine digits. Nothing else than UTC, written "Z".
[[nodiscard]] std::optional<std::int64_t> parse_time(std::string_view text);

/// The value as a number; none for what is none, has a fraction or does not fit.
[[nodiscard]] std::optional<std::int64_t> whole_number(const nlohmann::json& value);

/// {"uid":0,"pid":4711,"by":"anna","reason":"new kernel","at":"2026-…Z","until":null}
[[nodiscard]] nlohmann::json json_of(const Stamp& stamp);
/// The way back; other keys of `object` are no concern of it. The error says what is wrong with which key.
[[nodiscard]] base::Result<Stamp> stamp_in(const nlohmann::json& object);

/// since 2026-11-20T23:25:01.123Z until 2026-11-21T00:00:00.000Z by anna (uid 0, pid 4711): new kernel
[[nodiscard]] std::string text_of(const Stamp& stamp);

}  // namespace palier::control
