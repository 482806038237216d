// Cgroup: what the control groups of this process grant it: CPU time and memory, under cgroup v1 and v2.
//
// A group's limit holds for all below it, so the tightest one on the way to the root counts. In a container the way
// begins at the container's own group, whatever the host calls it.
//
// Thread: any; the files are read anew at each call.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace palier::app {

class Cgroup {
  public:
    /// `root`: where proc and sys are found; another one than "/" in tests.
    explicit Cgroup(std::filesystem::path root = "/");

    /// CPUs whose whole time may be used, such as 1.5; nothing: no limit.
    [[nodiscard]] std::optional<double> cpu_quota() const;

    /// The group whose limit of memory will be met first.
    struct Memory {
        std::uint64_t limit = 0;  // bytes
        /// What the kernel counts against it and could not take back: without the file cache.
        std::uint64_t used = 0;
    };
    /// Nothing: no limit, or it cannot be known.
    [[nodiscard]] std::optional<Memory> memory() const;

  private:
    struct Group {
        std::filesystem::path folder;  // of this process; "": there is no such controller
        std::filesystem::path top;     // of the hierarchy
        bool v2 = false;
    };
    [[nodiscard]] Group find(const char* controller) const;

    std::filesystem::path root_;
    Group cpu_;
    Group memory_;
};

}  // namespace palier::app
