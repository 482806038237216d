#include "control/request_options.h"

#include "control/stamp.h"
#include "palier/config/units.h"

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr config::Duration kLongestTtl = std::chrono::days(365);
/// There may be many entries, and their file has a limit.
constexpr std::size_t kLongestText = 1000;

base::Result<std::string> text_option(const Request& request, std::string_view key) {
    const std::string_view text = request.option(key);
    if (text.size() > kLongestText)
        return base::failure(fmt::format("{} may have {} bytes, not {}", key, kLongestText, text.size()));
    return std::string(text);
}

}  // namespace

base::Result<std::optional<config::Duration>> duration_option(const Request& request, std::string_view key,
                                                              config::Duration longest) {
    if (!request.has(key)) return std::nullopt;
    const auto duration = config::parse_duration(request.option(key));
    if (!duration) {
        return base::failure(
            fmt::format("{} must be a duration such as \"250ms\", \"2s\", \"5m\" or \"1h\", not {}", key,
                        duration.error().message));
    }
    if (*duration > longest) {
        return base::failure(fmt::format("{} may be at most \"{}\", not \"{}\"", key,
                                         config::to_text(longest), request.option(key)));
    }
    return *duration;
}

base::Result<Stamp> stamp_of(const Request& request) {
    auto by = text_option(request, "by");
    if (!by) return std::unexpected(by.error());
    auto reason = text_option(request, "reason");
    if (!reason) return std::unexpected(reason.error());
    const auto ttl = duration_option(request, "ttl", kLongestTtl);
    if (!ttl) return std::unexpected(ttl.error());
    if (*ttl == config::Duration(0)) return base::failure("ttl must be longer than \"0s\"");
    Stamp stamp{.uid = request.peer.uid,
                .pid = request.peer.pid,
                .by = std::move(*by),
                .reason = std::move(*reason),
                .at_ms = wall_ms(),
                .until_ms = std::nullopt};
    if (*ttl) stamp.until_ms = stamp.at_ms + (*ttl)->count();
    return stamp;
}

}  // namespace palier::control
