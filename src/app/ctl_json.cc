#include "app/ctl_json.h"

#include "app/ctl_text.h"
#include "palier/base/clock.h"
#include "palier/pool/transition.h"

#include <algorithm>

namespace palier::app {
namespace {

using nlohmann::json;

constexpr std::string_view kMs = "_ms";

/// Milliseconds beyond this are a date since 1970, not three years of anything.
constexpr std::uint64_t kLeastDate = 100'000'000'000;

std::string date_text(std::uint64_t ms) {
    base::WallClock clock([] { return std::int64_t{0}; });
    clock.update(ms);
    return std::string(clock.iso8601());
}

const json& value_at(const json& object, std::string_view key) {
    static const json kNothing;
    if (!object.is_object()) return kNothing;
    const auto found = object.find(key);
    return found == object.end() ? kNothing : *found;
}

std::string joined(const json& values) {
    std::string text;
    for (const json& value : values) {
        if (!text.empty()) text += ", ";
        text += brief(value);
    }
    return text;
}

std::string pairs_of(const json& object) {
    std::string text;
    for (const auto& [key, value] : object.items()) {
        if (!text.empty()) text += ", ";
        text += title_of(key) + ' ' + brief(key, value);
    }
    return text;
}

}  // namespace

std::string text_at(const json& object, std::string_view key) {
    const json& value = value_at(object, key);
    return value.is_structured() ? "" : brief(value);
}

std::uint64_t number_at(const json& object, std::string_view key) {
    const json& value = value_at(object, key);
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

bool flag_at(const json& object, std::string_view key) {
    const json& value = value_at(object, key);
    return value.is_boolean() && value.get<bool>();
}

const json& list_at(const json& object, std::string_view key) {
    static const json kNone = json::array();
    const json& value = value_at(object, key);
    return value.is_array() ? value : kNone;
}

const json& object_at(const json& object, std::string_view key) {
    static const json kNone = json::object();
    const json& value = value_at(object, key);
    return value.is_object() ? value : kNone;
}

std::string brief(const json& value) {
    if (value.is_null()) return "";
    if (value.is_string()) return shown(value.get_ref<const std::string&>());
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_array()) return joined(value);
    if (value.is_object()) return pairs_of(value);
    return value.dump();
}

std::string brief(std::string_view key, const json& value) {
    if (key.ends_with(kMs) && value.is_number_unsigned()) {
        const auto ms = value.get<std::uint64_t>();
        return ms < kLeastDate ? pool::duration_text(ms) : date_text(ms);
    }
    return brief(value);
}

std::string title_of(std::string_view key) {
    if (key.ends_with(kMs)) key.remove_suffix(kMs.size());
    std::string title = shown(key);
    std::ranges::replace(title, '_', ' ');
    return title;
}

}  // namespace palier::app
