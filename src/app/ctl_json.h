// Looks into replies without trusting their shape: what is missing, or is something else, is empty. Texts come fit for a
// terminal. Thread: any; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace palier::app {

/// A scalar as text: "" for null and what is missing, yes or no for booleans.
[[nodiscard]] std::string text_at(const nlohmann::json& object, std::string_view key);
[[nodiscard]] std::uint64_t number_at(const nlohmann::json& object, std::string_view key);
[[nodiscard]] bool flag_at(const nlohmann::json& object, std::string_view key);
/// An array, perhaps an empty one.
[[nodiscard]] const nlohmann::json& list_at(const nlohmann::json& object, std::string_view key);
[[nodiscard]] const nlohmann::json& object_at(const nlohmann::json& object, std::string_view key);

/// Anything on one line: scalars as they are, lists joined with commas, objects as "key value".
[[nodiscard]] std::string brief(const nlohmann::json& value);
/// The same for what `key` names: a number of milliseconds, "…_ms", becomes a duration, or a date if it is too large.
[[nodiscard]] std::string brief(std::string_view key, const nlohmann::json& value);
/// "health_since_ms" → "health since".
[[nodiscard]] std::string title_of(std::string_view key);

}  // namespace palier::app
