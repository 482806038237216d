#include "config/misplaced.h"

#include <fmt/format.h>

namespace palier::config {

void report_misplaced(TableReader& table, std::span<const std::string_view> keys, std::string_view owner) {
    for (const std::string_view key : keys) {
        if (!table.has(key)) continue;
        (void)table.find(key);  // or finish() would call it unknown
        table.mistakes().add(table.key_place(key),
                             fmt::format("\"{}\" belongs to {}, above [{}]", key, owner, table.path()));
    }
}

}  // namespace palier::config
