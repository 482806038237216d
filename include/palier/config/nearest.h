// What somebody probably meant by a name that is unknown.
// Thread: any; pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace palier::config {

/// The number of insertions, deletions, changes and swaps of neighbours that turn one into the other (the
/// optimal string alignment distance), letters in any case.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The known name nearest to `name`, or "" when none is so near that it could be a slip.
[[nodiscard]] std::string_view nearest(std::string_view name, std::span<const std::string_view> known);

/// `; did you mean "NEAREST"?`, or "".
[[nodiscard]] std::string suggestion(std::string_view name, std::span<const std::string_view> known);

}  // namespace palier::config
