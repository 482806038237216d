#include "config/hsts.h"

#include <fmt/format.h>

namespace palier::config {
namespace {

constexpr Duration kLongestAge = std::chrono::days(3650);
/// What hstspreload.org asks of sites that want to be on the browsers' lists.
constexpr Duration kPreloadAge = std::chrono::days(365);

}  // namespace

std::string read_hsts(TableReader& listener) {
    auto table = listener.table("hsts");
    if (!table) return "";
    Duration max_age{-1};  // unless it can be read
    bool include_subdomains = false;
    bool preload = false;
    table->read("max_age", max_age, {Duration(0), kLongestAge});
    if (!table->has("max_age")) table->missing("max_age");
    table->read("include_subdomains", include_subdomains);
    table->read("preload", preload);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(max_age);
    table->finish();
    if (max_age < Duration(0)) return "";
    if (seconds != max_age)
        table->mistakes().add(table->key_place("max_age"), "\"listener.hsts.max_age\" must be whole seconds");
    if (preload && (!include_subdomains || max_age < kPreloadAge)) {
        table->mistakes().add(table->key_place("preload"),
                              "browsers' preload lists take no site without include_subdomains = true and a "
                              "max_age of at least \"365d\"");
    }
    return fmt::format("max-age={}{}{}", seconds.count(), include_subdomains ? "; includeSubDomains" : "",
                       preload ? "; preload" : "");
}

}  // namespace palier::config
