#include "config/outlier.h"

#include "config/misplaced.h"
#include "config/sections.h"
#include "config/status_ranges.h"
#include "palier/config/units.h"

namespace palier::config {
namespace {

constexpr std::uint32_t kMostCounted = 1'000'000;
/// Shorter windows would see too little, longer ones what is no longer true.
constexpr Range<Duration> kWindow{Duration(100), std::chrono::hours(1)};

}  // namespace

void read_outlier(TableReader& pool, OutlierConfig& outlier) {
    auto table = pool.table("outlier");
    if (!table) return;
    table->read<std::uint32_t>("failures", outlier.failures, {0, kMostCounted});
    table->read("backoff", outlier.backoff, {Duration(1), kLongest});
    table->read<std::uint32_t>("max_ejected", outlier.max_ejected, {0, 100});
    table->read<std::uint32_t>("error_rate", outlier.error_rate, {0, 100});
    table->read("window", outlier.window, kWindow);
    table->read<std::uint32_t>("min_requests", outlier.min_requests, {1, kMostCounted});
    read_status_ranges(*table, "statuses", outlier.statuses, true);
    report_misplaced(*table, kPoolKeys, "[[pool]]");
    table->finish();
}

}  // namespace palier::config
