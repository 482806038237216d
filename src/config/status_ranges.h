// HTTP statuses as configurations write them: 204, "204", "200-399", or a list of those.
// Thread: any; pure.
#pragma once

#include "config/table_reader.h"
#include "palier/base/result.h"

#include <string_view>
#include <vector>

namespace palier::config {

/// "204" or "200-399", both ends included, of final responses: 200 to 599. The error is "" or what was
/// probably meant ("200-299" for "2xx").
[[nodiscard]] base::Result<StatusRange> parse_status_range(std::string_view text);

/// Reads `key` into `ranges`, which stay as they were when it is absent or something in it is wrong.
void read_status_ranges(TableReader& table, std::string_view key, std::vector<StatusRange>& ranges,
                        bool may_be_empty);

}  // namespace palier::config
