#include "control/records.h"

#include "control/stamp.h"
#include "palier/config/name.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace palier::control {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr int kDeepest = 64;  // of nested values; a roll-out's progress needs a few
constexpr std::uint32_t kHeaviest = 65'535;

template <typename Value>
json json_of(const Value& value, const Stamp& stamp) {
    json object = json_of(stamp);
    object["value"] = value;
    return object;
}

json json_of(const ServerRecord& record) {
    json object = json::object();
    if (record.admin) object["admin"] = json_of(pool::text_of(record.admin->value), record.admin->stamp);
    if (record.weight) object["weight"] = json_of(record.weight->value, record.weight->stamp);
    return object;
}

json json_of(const PoolRecord& record) {
    json object = json::object();
    if (record.only) object["only"] = json_of(record.only->value, record.only->stamp);
    if (record.maintenance)
        object["maintenance"] = json_of(record.maintenance->value, record.maintenance->stamp);
    if (!record.rollout.is_null()) object["rollout"] = record.rollout;
    json servers = json::object();
    for (const auto& [name, server] : record.servers)
        servers[name] = json_of(server);
    if (!servers.empty()) object["servers"] = std::move(servers);
    return object;
}

base::Result<std::string> read_value(const json& value, std::type_identity<std::string>) {
    if (value.is_string() && config::is_name(value.get_ref<const std::string&>()))
        return value.get<std::string>();
    return base::failure("its value is no name");
}

base::Result<bool> read_value(const json& value, std::type_identity<bool>) {
    if (value.is_boolean() && value.get<bool>()) return true;
    return base::failure("its value is not true");
}

base::Result<std::uint32_t> read_value(const json& value, std::type_identity<std::uint32_t>) {
    const auto number = whole_number(value);
    if (number && *number >= 0 && *number <= kHeaviest) return static_cast<std::uint32_t>(*number);
    return base::failure(fmt::format("its value is no number from 0 to {}", kHeaviest));
}

base::Result<pool::Admin> read_value(const json& value, std::type_identity<pool::Admin>) {
    for (const pool::Admin admin : {pool::Admin::drained, pool::Admin::disabled}) {
        if (value.is_string() && value.get_ref<const std::string&>() == pool::text_of(admin)) return admin;
    }
    return base::failure("its value is neither \"drained\" nor \"disabled\"");
}

/// Reads one file; the first thing that is wrong with it ends that.
class Reader {
  public:
    [[nodiscard]] base::Result<Records> read(const json& root) {
        Records records;
        if (!is_object(root, "the file")) return base::failure(fault_);
        const auto version = root.find("version");
        if (version == root.end() || !version->is_number_integer())
            return base::failure("it does not say its version");
        if (*version != kVersion)
            return base::failure(
                fmt::format("its version is {}, and this palier knows {}", version->dump(), kVersion));
        each(root, "pools", "pool", [&](const std::string& name, const json& value) {
            read_pool(value, "pool " + name, records[name]);
        });
        if (!fault_.empty()) return base::failure(fault_);
        prune(records);
        return records;
    }

  private:
    void blame(const std::string& where, std::string_view what) {
        if (fault_.empty()) fault_ = fmt::format("{}: {}", where, what);
    }

    bool is_object(const json& value, const std::string& where) {
        if (!value.is_object()) blame(where, "it is no object");
        return value.is_object();
    }

    /// Calls `look` with each member of the object `key`, if there is one; their keys are names.
    template <typename Look>
    void each(const json& object, const char* key, std::string_view kind, Look look) {
        const auto members = object.find(key);
        if (members == object.end() || !is_object(*members, fmt::format("\"{}\"", key))) return;
        for (const auto& [name, value] : members->items()) {
            if (!config::is_name(name))
                return blame(fmt::format("\"{}\"", key), fmt::format("what names a {} is no name", kind));
            if (is_object(value, fmt::format("{} {}", kind, name))) look(name, value);
        }
    }

    template <typename Value>
    void read_decided(const json& object, const char* key, const std::string& owner,
                      std::optional<Decided<Value>>& into) {
        const auto found = object.find(key);
        const std::string where = fmt::format("{}, \"{}\"", owner, key);
        if (found == object.end() || !is_object(*found, where)) return;
        auto value = read_value(found->value("value", json()), std::type_identity<Value>());
        if (!value) return blame(where, value.error().message);
        auto stamp = stamp_in(*found);
        if (!stamp) return blame(where, stamp.error().message);
        into = Decided<Value>{std::move(*value), std::move(*stamp)};
    }

    void read_pool(const json& object, const std::string& where, PoolRecord& record) {
        read_decided(object, "only", where, record.only);
        read_decided(object, "maintenance", where, record.maintenance);
        if (const auto rollout = object.find("rollout"); rollout != object.end()) {
            if (is_object(*rollout, where + ", \"rollout\"")) record.rollout = *rollout;
        }
        each(object, "servers", "server", [&](const std::string& name, const json& value) {
            ServerRecord& server = record.servers[name];
            const std::string its = fmt::format("{}, server {}", where, name);
            read_decided(value, "admin", its, server.admin);
            read_decided(value, "weight", its, server.weight);
        });
    }

    std::string fault_;
};

/// Null for what is no JSON. Deep nesting costs much more memory than it has bytes: it is cut off and then fails as what
/// has the wrong type, or counts as garbage.
json parse(std::string_view text) {
    bool too_deep = false;
    const auto shallow = [&too_deep](int depth, json::parse_event_t, const json&) {
        too_deep = too_deep || depth > kDeepest;
        return !too_deep;
    };
    json value = json::parse(text, shallow, false);
    return too_deep || value.is_discarded() ? json() : value;
}

template <typename Value>
bool due(const std::optional<Decided<Value>>& decided, std::int64_t now_ms) {
    return decided && decided->stamp.until_ms && *decided->stamp.until_ms <= now_ms;
}

}  // namespace

std::string text_of(const Records& records) {
    json pools = json::object();
    for (const auto& [name, record] : records)
        pools[name] = json_of(record);
    const json root{{"version", kVersion}, {"pools", std::move(pools)}};
    return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

base::Result<Records> parse_records(std::string_view text) {
    if (text.size() > kLongestState)
        return base::failure(fmt::format("it is longer than {} bytes", kLongestState));
    const json root = parse(text);
    if (root.is_null()) return base::failure("it is no JSON, or not all of it");
    return Reader().read(root);
}

pool::Decisions decisions_of(const Records& records) {
    pool::Decisions decisions;
    for (const auto& [pool, record] : records) {
        pool::PoolDecision decision;
        if (record.only) decision.only = record.only->value;
        decision.maintenance = record.maintenance.has_value();
        for (const auto& [name, server] : record.servers) {
            pool::ServerDecision& its = decision.servers[name];
            if (server.admin) its.admin = server.admin->value;
            if (server.weight) its.weight = server.weight->value;
        }
        if (decision != pool::PoolDecision{}) decisions.emplace(pool, std::move(decision));
    }
    return decisions;
}

std::vector<Entry> entries_of(const ServerRecord& record) {
    std::vector<Entry> entries;
    if (record.admin)
        entries.push_back({std::string(pool::text_of(record.admin->value)), record.admin->stamp});
    if (record.weight)
        entries.push_back({fmt::format("weight {}", record.weight->value), record.weight->stamp});
    return entries;
}

std::vector<Entry> entries_of(const PoolRecord& record) {
    std::vector<Entry> entries;
    if (record.only) entries.push_back({"only " + record.only->value, record.only->stamp});
    if (record.maintenance) entries.push_back({"maintenance", record.maintenance->stamp});
    return entries;
}

void end_due(Records& records, std::int64_t now_ms, const std::function<void(Ended)>& ended) {
    const auto is_due = [now_ms](const Entry& entry) {
        return entry.stamp.until_ms && *entry.stamp.until_ms <= now_ms;
    };
    for (auto& [pool, record] : records) {
        for (Entry& entry : entries_of(record)) {
            if (is_due(entry)) ended({pool, "", std::move(entry)});
        }
        if (due(record.only, now_ms)) record.only.reset();
        if (due(record.maintenance, now_ms)) record.maintenance.reset();
        for (auto& [name, server] : record.servers) {
            for (Entry& entry : entries_of(server)) {
                if (is_due(entry)) ended({pool, name, std::move(entry)});
            }
            if (due(server.admin, now_ms)) server.admin.reset();
            if (due(server.weight, now_ms)) server.weight.reset();
        }
    }
    prune(records);
}

std::optional<std::int64_t> next_end_ms(const Records& records) {
    std::optional<std::int64_t> next;
    const auto look = [&next](const std::vector<Entry>& entries) {
        for (const Entry& entry : entries) {
            if (entry.stamp.until_ms)
                next = std::min(next.value_or(*entry.stamp.until_ms), *entry.stamp.until_ms);
        }
    };
    for (const auto& [pool, record] : records) {
        look(entries_of(record));
        for (const auto& [name, server] : record.servers)
            look(entries_of(server));
    }
    return next;
}

void prune(Records& records) {
    for (auto& [pool, record] : records)
        std::erase_if(record.servers, [](const auto& server) { return server.second.empty(); });
    std::erase_if(records, [](const auto& pool) { return pool.second.empty(); });
}

}  // namespace palier::control
