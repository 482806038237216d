#include "app/memory_guard.h"

#include "palier/base/log.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

namespace palier::app {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kTrimMs = 500;      // between two returns of freed memory, which takes a while
constexpr std::uint64_t kSettleMs = 10'000;  // for what a shortage has left to be freed, after its end

/// What is left below the limit when a pressure begins or ends: a part of it, but no less than so many MiB, because what
/// arrives between two looks does not become less with the limit. Where that were more than a quarter of the limit, it
/// shrinks with it.
struct Room {
    std::uint64_t per_cent;
    std::uint64_t mib;

    [[nodiscard]] bool is_used_up(Cgroup::Memory memory) const {
        const std::uint64_t least = std::min(mib * kMiB, memory.limit / kSmallMiB * mib);
        return memory.used + std::max(memory.limit / 100 * per_cent, least) >= memory.limit;
    }

    static constexpr std::uint64_t kSmallMiB = 64;
};
constexpr Room kHard{.per_cent = 5, .mib = 8};
constexpr Room kSoft{.per_cent = 10, .mib = 12};
constexpr Room kSoftOver{.per_cent = 15, .mib = 16};
constexpr Room kWatched{.per_cent = 25, .mib = 32};
constexpr Room kNoticed{.per_cent = 50, .mib = 48};

/// Until the next look, for each costs some system calls.
std::uint64_t patience_ms(const std::optional<Cgroup::Memory>& memory) {
    if (!memory) return 5'000;  // a group may get a limit at any time
    if (kWatched.is_used_up(*memory)) return 10;
    return kNoticed.is_used_up(*memory) ? 100 : 250;
}

/// This process's own memory in bytes, without what it shares with files; proc(5), statm.
std::uint64_t own_memory() {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    std::uint64_t shared = 0;
    statm >> size >> resident >> shared;
    return (resident - std::min(resident, shared)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

MemoryGuard::Measure measure_of(const config::MemoryLimit& limit) {
    switch (limit.kind) {
        case config::MemoryLimit::Kind::automatic:
            return [cgroup = Cgroup()] { return cgroup.memory(); };
        case config::MemoryLimit::Kind::size:
            return [bytes = limit.bytes] { return Cgroup::Memory{.limit = bytes, .used = own_memory()}; };
        case config::MemoryLimit::Kind::off:
            break;
    }
    return nullptr;
}

}  // namespace

std::string_view text_of(Pressure pressure) {
    switch (pressure) {
        case Pressure::none:
            return "none";
        case Pressure::soft:
            return "soft";
        case Pressure::hard:
            return "hard";
    }
    return "";
}

Pressure pressure_at(Cgroup::Memory memory, Pressure before) {
    if ((before == Pressure::hard ? kSoft : kHard).is_used_up(memory)) return Pressure::hard;
    if ((before == Pressure::none ? kSoft : kSoftOver).is_used_up(memory)) return Pressure::soft;
    return Pressure::none;
}

MemoryGuard::MemoryGuard(net::Loop& loop, Relieve relieve) : loop_(loop), relieve_(std::move(relieve)) {}

void MemoryGuard::limit_to(const config::MemoryLimit& limit) {
    measure_by(measure_of(limit));
}

void MemoryGuard::measure_by(Measure measure) {
    measure_ = std::move(measure);
    look();
}

void MemoryGuard::look() {
    base::TimerWheel::disarm(timer_);
    memory_ = measure_ ? measure_() : std::nullopt;
    go_over_to(memory_ ? pressure_at(*memory_, pressure_) : Pressure::none);
    give_back();
    if (measure_) loop_.timers().arm(timer_, loop_.now_ms() + patience_ms(memory_));
}

void MemoryGuard::go_over_to(Pressure next) {
    const Pressure before = std::exchange(pressure_, next);
    if (next == Pressure::none && before == Pressure::none) return;
    if (before == Pressure::none) ++shortages_;
    if (before != next) {
        const std::string extent =
            memory_ ? fmt::format("{} of {} MiB", memory_->used / kMiB, memory_->limit / kMiB) : "no limit";
        if (next == Pressure::none) {
            base::log_info("memory: {}; all is as usual again", extent);
        } else if (next == Pressure::hard) {
            base::log_error("memory: {}; nobody is let in, and requests are answered with 503", extent);
        } else if (before == Pressure::hard) {
            base::log_warning("memory: {}; requests are served again, idle connections are still closed",
                              extent);
        } else {
            base::log_warning("memory: {}; idle connections are closed", extent);
        }
    }
    relieve_(next);
}

/// What was freed goes back to the kernel, for whom it is palier's until then: in a shortage, and for a while after it,
/// when those connections end that it has found.
void MemoryGuard::give_back() {
    const std::uint64_t now = loop_.now_ms();
    if (pressure_ != Pressure::none) short_until_ms_ = now;
    if (shortages_ == 0 || now - short_until_ms_ > kSettleMs || now - trimmed_ms_ < kTrimMs) return;
    trimmed_ms_ = now;
    ::malloc_trim(0);
}

}  // namespace palier::app
