// Overlay: what operators changed at run time, with who, when, why and until when; kept in `state_file`.
//
// Every change is written before it is acknowledged: a temporary file beside it, fsync, rename, fsync of the folder, so
// that the file is whole at any time. What names a pool or server that is not configured is kept aside and holds again if
// it returns. A file that cannot be read is set aside (NAME.broken-<time>) with a warning, never fatal. What cannot be
// written is in force all the same; the change's result says so.
//
// Thread: control only. Owner: the supervisor.
#pragma once

#include "palier/base/result.h"
#include "palier/net/loop.h"
#include "palier/pool/decisions.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace palier::config {
struct Config;
}

namespace palier::control {

/// Who changed something, and for how long.
struct Stamp {
    std::uint32_t uid = 0;
    std::int32_t pid = 0;
    std::string by;                        // as the operator calls themselves; may be ""
    std::string reason;                    // may be ""
    std::int64_t at_ms = 0;                // since 1970
    std::optional<std::int64_t> until_ms;  // since 1970; none: until it is changed

    friend bool operator==(const Stamp&, const Stamp&) = default;
};

/// Something that holds at present, for `pools`.
struct Entry {
    std::string what;  // "drained", "disabled", "weight 5", "only front1", "maintenance"
    Stamp stamp;
};

/// An entry whose time was up.
struct Ended {
    std::string pool;
    std::string server;  // "" for what concerns the pool
    Entry entry;
};

class Overlay {
  public:
    /// `file`: "" keeps nothing. `changed`: an entry's time was up, or another change came from within: publish anew.
    Overlay(net::Loop& loop, std::string file, std::function<void()> changed);
    ~Overlay();
    Overlay(const Overlay&) = delete;
    Overlay& operator=(const Overlay&) = delete;

    /// Called with each entry whose time was up, before `changed` is called once for all of them.
    void on_end(std::function<void(const Ended&)> ended);

    /// Reads the file, if there is one. Whatever is wrong with it is logged, and so is what holds.
    void load();
    /// As given; "": nothing is kept.
    [[nodiscard]] const std::string& file() const;
    /// Warns of entries that name nothing in `config`, once for each; to be called at start and after each reload.
    void check_against(const config::Config& config);

    [[nodiscard]] const pool::Decisions& decisions() const;

    // Changes. Each is in the file when it returns; the result is "" or why it could not be kept there.

    /// `admin`: enabled, drained or disabled. enabled ends what `drain` and `disable` decided, not the weight.
    [[nodiscard]] std::string set_admin(const std::string& pool, const std::string& server, pool::Admin admin,
                                        Stamp stamp);
    /// None: the configuration's.
    [[nodiscard]] std::string set_weight(const std::string& pool, const std::string& server,
                                         std::optional<std::uint32_t> weight, Stamp stamp);
    /// "": all servers.
    [[nodiscard]] std::string set_only(const std::string& pool, const std::string& server, Stamp stamp);
    [[nodiscard]] std::string set_maintenance(const std::string& pool, bool on, Stamp stamp);

    /// A roll-out's progress, as rollout.h writes it (an object); null: there is none.
    [[nodiscard]] nlohmann::json rollout(const std::string& pool) const;
    [[nodiscard]] std::string set_rollout(const std::string& pool, const nlohmann::json& progress);

    [[nodiscard]] std::vector<Entry> entries(const std::string& pool, const std::string& server) const;
    [[nodiscard]] std::vector<Entry> entries(const std::string& pool) const;  // only, maintenance
    /// Pools and servers with entries that `config` does not have; "" as the server stands for what concerns the pool.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> aside(const config::Config& config) const;

    /// All of it as the file has it, for another process that takes over; and the way back, which replaces what there
    /// was and writes nothing.
    [[nodiscard]] std::string exported() const;
    [[nodiscard]] base::Result<void> import(std::string_view text);
    /// Writes what was imported, unless there is nothing and never was.
    void keep();
    /// From now on nothing is written any more, and nothing ends by itself: both are another process's task, whose
    /// decisions may still be imported.
    void let_go();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace palier::control
