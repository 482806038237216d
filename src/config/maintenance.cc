#include "config/maintenance.h"

#include "config/file.h"
#include "config/misplaced.h"
#include "config/route_action.h"
#include "config/sections.h"
#include "palier/config/units.h"

#include <fmt/format.h>

namespace palier::config {
namespace {

/// Retry-After counts seconds.
constexpr Range<Duration> kRetryAfter{std::chrono::seconds(1), kLongest};

void read_page(TableReader& table, MaintenanceConfig& maintenance) {
    const Node* file = table.text("file");
    if (file == nullptr) return;
    const std::string path = file->document->resolve(file->string);
    auto page = read_regular(path, kLargestPage);
    if (!page || page->empty()) {
        table.mistakes().add(file->place(), fmt::format("\"{}\" cannot be used: {}", path,
                                                        page ? "it is empty" : page.error().message));
        return;
    }
    maintenance.page = std::move(*page);
    maintenance.content_type = content_type_of(path);
}

}  // namespace

void read_maintenance(TableReader& pool, MaintenanceConfig& maintenance) {
    auto table = pool.table("maintenance");
    if (!table) return;
    read_page(*table, maintenance);
    table->read("retry_after", maintenance.retry_after, kRetryAfter);
    report_misplaced(*table, kPoolKeys, "[[pool]]");
    table->finish();
}

}  // namespace palier::config
