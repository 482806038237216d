// MemoryGuard: sees palier's memory come near its limit, and has it let go of what can be spared before the kernel ends it.
//
//     pressure    from    or with less than    until below    or with more than    what workers do
//     none
//     soft        90 %    12 MiB left          85 %           16 MiB left          close idle connections, and tell
//                                                                                  clients to go with each response
//     hard        95 %     8 MiB left          90 %           12 MiB left          accept nobody, answer requests with
//                                                                                  503, unfinished ones too
//
// The MiB matter in small limits; below 64 MiB they are as many 64ths of the limit. It looks four times a second, and far
// more often when a quarter is left: memory may fill fast.
//
// Thread: control only. Owner: the supervisor. Ends: the destructor.
#pragma once

#include "app/cgroup.h"
#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace palier::app {

enum class Pressure : std::uint8_t { none, soft, hard };
[[nodiscard]] std::string_view text_of(Pressure pressure);

/// What follows on `before` at so many bytes.
[[nodiscard]] Pressure pressure_at(Cgroup::Memory memory, Pressure before);

class MemoryGuard {
  public:
    using Measure = std::function<std::optional<Cgroup::Memory>()>;
    /// Called when the pressure has changed and, as long as there is any, at each look.
    using Relieve = std::function<void(Pressure)>;

    MemoryGuard(net::Loop& loop, Relieve relieve);

    /// From now on this is what may be used.
    void limit_to(const config::MemoryLimit& limit);
    /// The same with another way to measure, for tests; null: there is no limit.
    void measure_by(Measure measure);

    [[nodiscard]] Pressure pressure() const { return pressure_; }
    /// How often it has come to soft pressure from none.
    [[nodiscard]] std::uint64_t shortages() const { return shortages_; }
    /// As of the last look; nothing where there is no limit.
    [[nodiscard]] const std::optional<Cgroup::Memory>& memory() const { return memory_; }

  private:
    void look();
    void go_over_to(Pressure next);
    void give_back();

    net::Loop& loop_;
    Relieve relieve_;
    Measure measure_;
    Pressure pressure_ = Pressure::none;
    std::uint64_t shortages_ = 0;
    std::optional<Cgroup::Memory> memory_;
    std::uint64_t short_until_ms_ = 0;
    std::uint64_t trimmed_ms_ = 0;
    base::Timer timer_ = base::Timer::calling<&MemoryGuard::look>(this);
};

}  // namespace palier::app
