// Records: the overlay's entries, and the text of its file.
//
//     {
//       "version": 1,
//       "pools": {
//         "web": {
//           "only": {"value": "front1", "uid": 0, "pid": 4711, "by": "anna", "reason": "", "at": "2026-…Z", "until": null},
//           "maintenance": {"value": true, …},
//           "rollout": {…},
//           "servers": {"front2": {"admin": {"value": "drained", …}, "weight": {"value": 5, …}}}
//         }
//       }
//     }
//
// Thread: values, any.
#pragma once

#include "palier/base/result.h"
#include "palier/control/overlay.h"
#include "palier/pool/decisions.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace palier::control {

template <typename Value>
struct Decided {
    Value value;
    Stamp stamp;
};

struct ServerRecord {
    std::optional<Decided<pool::Admin>> admin;  // drained or disabled
    std::optional<Decided<std::uint32_t>> weight;

    [[nodiscard]] bool empty() const { return !admin && !weight; }
};

struct PoolRecord {
    std::optional<Decided<std::string>> only;
    std::optional<Decided<bool>> maintenance;  // true
    nlohmann::json rollout;                    // null: there is none
    std::map<std::string, ServerRecord, std::less<>> servers;

    [[nodiscard]] bool empty() const { return !only && !maintenance && rollout.is_null() && servers.empty(); }
};

using Records = std::map<std::string, PoolRecord, std::less<>>;

/// No text that is longer is read or written.
constexpr std::size_t kLongestState = std::size_t{16} << 20;

[[nodiscard]] std::string text_of(const Records& records);
/// Keys that are not known are passed over. The error says what is wrong where.
[[nodiscard]] base::Result<Records> parse_records(std::string_view text);

[[nodiscard]] pool::Decisions decisions_of(const Records& records);

/// Takes out what ends at `now_ms` or before, and calls `ended` for each.
void end_due(Records& records, std::int64_t now_ms, const std::function<void(Ended)>& ended);
/// When the next entry ends.
[[nodiscard]] std::optional<std::int64_t> next_end_ms(const Records& records);

[[nodiscard]] std::vector<Entry> entries_of(const ServerRecord& record);
[[nodiscard]] std::vector<Entry> entries_of(const PoolRecord& record);
/// Takes out records without entries.
void prune(Records& records);

}  // namespace palier::control
