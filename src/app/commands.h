// The commands of the command line, one file each. They return the process's exit code: 0 done, 1 refused, 2
// usage. Thread: the main one.
#pragma once

#include <optional>
#include <string>

namespace palier::app {

inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;
inline constexpr int kUsage = 2;

/// palier run: serves in the foreground. `take_over`: in place of the palier that answers on this control socket ("": the
/// file's), if one does.
[[nodiscard]] int run_command(const std::string& file, std::optional<unsigned> workers,
                              const std::optional<std::string>& take_over);
/// palier check: validates, every mistake on a line of stderr.
[[nodiscard]] int check_command(const std::string& file);

}  // namespace palier::app
