// Reading the sections of the file into a Config, in this order: general, listeners, pools, ready_when, routes.
// Thread: control only. Owner: one load.
#pragma once

#include "config/document.h"
#include "config/mistakes.h"
#include "config/table_reader.h"
#include "palier/config/config.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

namespace palier::config {

/// The names of listeners, pools or one pool's servers.
class Names {
  public:
    struct Named {
        std::size_t index = 0;
        Place place;
    };

    /// Reads the name of the `index`th `kind` ("pool") from `table` and reports a bad or second one.
    std::string read(TableReader& table, std::string_view kind, std::size_t index, Mistakes& mistakes);
    /// The index of what has this name. Reports an unknown one, unless it may stand in what could not be read.
    std::optional<std::size_t> resolve(std::string_view name, Place place, std::string_view kind,
                                       Mistakes& mistakes) const;
    std::optional<std::size_t> resolve(const Node& value, std::string_view kind, Mistakes& mistakes) const {
        return resolve(value.string, value.place(), kind, mistakes);
    }
    /// Something has no readable name: references may mean it.
    void set_incomplete() { complete_ = false; }

  private:
    std::unordered_map<std::string, Named> by_name_;
    bool complete_ = true;
};

/// What may follow [pool.health] or [pool.outlier] by mistake.
constexpr std::array<std::string_view, 13> kPoolKeys{
    "name",      "balance", "prefer_local", "failback", "retries", "retry_on",   "min_usable",
    "when_none", "on_down", "tls",          "verify",   "ca",      "server_name"};

/// A load in progress.
struct Reading {
    Config config;
    Names listeners;
    Names pools;
    Mistakes& mistakes;
    bool complete = true;  // false: parts of the text could not be understood
};

void read_general(TableReader& root, Reading& reading);
void read_listeners(TableReader& root, Reading& reading);
void read_pools(TableReader& root, Reading& reading);
void read_routes(TableReader& root, Reading& reading);

}  // namespace palier::config
