#include "control/rollout_record.h"

#include "control/stamp.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace palier::control {
namespace {

using nlohmann::json;

json failures_of(const RolloutRecord& record) {
    json failures = json::array();
    for (const RolloutRecord::Failure& failure : record.failed) {
        failures.push_back({{"server", failure.server}, {"step", failure.step}, {"why", failure.why}});
        if (!failure.undo.empty()) failures.back()["undo"] = failure.undo;
    }
    return failures;
}

/// Unlike the library, which makes numbers of booleans and nothing of null.
template <typename Number>
Number number_in(const json& object, const char* key) {
    const json& value = object.at(key);
    if (!value.is_number_integer())
        throw json::type_error::create(302, fmt::format("{} is no number", key), &value);
    return value.get<Number>();
}

const json& table_in(const json& object, const char* key) {
    const json& value = object.at(key);
    if (!value.is_object()) throw json::type_error::create(302, fmt::format("{} is no table", key), &value);
    return value;
}

RolloutRecord::At at_of(const json& object) {
    const bool with_hook = object.contains("hook");
    return {.step = object.at("step"),
            .drained = object.at("drained"),
            .hook = with_hook ? number_in<int>(object, "hook") : 0,
            .hook_born = with_hook ? object.at("hook_born").get<std::string>() : ""};
}

RolloutRecord read(const json& object) {
    RolloutRecord record;
    record.options = object.at("options").get<OptionTexts>();
    record.uid = number_in<std::uint32_t>(object, "uid");
    record.pid = number_in<std::int32_t>(object, "pid");
    record.started_ms = number_in<std::int64_t>(object, "started_ms");
    record.order = object.at("order").get<std::vector<std::string>>();
    record.done = object.at("done").get<std::vector<std::string>>();
    for (const auto& [server, why] : table_in(object, "skipped").items())
        record.skipped[server] = why;
    for (const auto& [server, at] : table_in(object, "at").items())
        record.at[server] = at_of(at);
    for (const json& failure : object.at("failed").get<std::vector<json>>()) {
        record.failed.push_back({.server = failure.at("server"),
                                 .step = failure.at("step"),
                                 .why = failure.at("why"),
                                 .undo = failure.value("undo", "")});
    }
    record.stopped = object.at("stopped");
    return record;
}

}  // namespace

json RolloutRecord::to_json() const {
    json servers_at = json::object();
    for (const auto& [server, where] : at) {
        servers_at[server] = {{"step", where.step}, {"drained", where.drained}};
        if (where.hook != 0) {
            servers_at[server]["hook"] = where.hook;
            servers_at[server]["hook_born"] = where.hook_born;
        }
    }
    return {{"options", options},
            {"uid", uid},
            {"pid", pid},
            {"started_ms", started_ms},
            {"order", order},
            {"done", done},
            {"skipped", skipped.empty() ? json::object() : json(skipped)},
            {"at", servers_at},
            {"failed", failures_of(*this)},
            {"stopped", stopped}};
}

base::Result<RolloutRecord> RolloutRecord::from_json(const json& object) {
    try {
        return read(object);
    } catch (const json::exception& error) {
        return base::failure(fmt::format("what is kept of the roll-out cannot be read: {}", error.what()));
    }
}

bool RolloutRecord::is_done(std::string_view server) const {
    return std::ranges::find(done, server) != done.end();
}

std::vector<std::string> RolloutRecord::untouched() const {
    std::vector<std::string> names;
    std::ranges::copy_if(order, std::back_inserter(names), [this](const std::string& server) {
        return !is_done(server) && !skipped.contains(server) && !at.contains(server);
    });
    return names;
}

std::vector<std::string> RolloutRecord::drained() const {
    std::vector<std::string> names;
    for (const auto& [server, where] : at) {
        if (where.drained) names.push_back(server);
    }
    return names;
}

std::string RolloutRecord::place() const {
    std::vector<std::string> places;
    for (const auto& [server, where] : at)
        places.push_back(fmt::format("{}, step {}", server, where.step));
    return places.empty() ? "between two servers" : fmt::format("{}", fmt::join(places, "; "));
}

json RolloutRecord::standing() const {
    json places = json::array();
    for (const auto& [server, where] : at)
        places.push_back({{"server", server}, {"step", where.step}, {"drained", where.drained}});
    json left_out = json::array();
    for (const auto& [server, why] : skipped)
        left_out.push_back({{"server", server}, {"why", why}});
    return {{"updated", done},
            {"failed", failures_of(*this)},
            {"skipped", left_out},
            {"at", places},
            {"untouched", untouched()},
            {"drained", drained()},
            {"started", time_text(started_ms)}};
}

std::string birth_of_process(int pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string text;
    std::getline(file, text);
    // The name, in parentheses, may hold anything; the state follows it, and 19 fields later the time of birth.
    const std::size_t end_of_name = text.rfind(')');
    if (end_of_name == std::string::npos) return {};
    std::istringstream fields(text.substr(end_of_name + 1));
    std::vector<std::string> values(std::istream_iterator<std::string>(fields), {});
    constexpr std::size_t kBirth = 19;
    if (values.size() <= kBirth || values.front() == "Z" || values.front() == "X") return {};
    return values[kBirth];
}

}  // namespace palier::control
