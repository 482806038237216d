// The event log: what happens to palier itself, one line each on stderr, for people.
//     2026-11-20T23:25:01.123Z warning pool web: front1 is ejected for 5 s
// Requests are not events: they go to proxy/access_log.h. Control bytes in a message are written as \xHH, so
// that nothing a peer sends can forge a line. A line is written before the call returns.
// Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include <fmt/core.h>

namespace palier::base {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Sets the least level that is written; `info` until then. May be called again.
void log_start(LogLevel level);

namespace detail {
extern std::atomic<LogLevel> log_threshold;
void log_line(LogLevel level, fmt::string_view format, fmt::format_args args);
}  // namespace detail

[[nodiscard]] inline bool log_enabled(LogLevel level) {
    return level >= detail::log_threshold.load(std::memory_order_relaxed);
}

template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
    if (!log_enabled(LogLevel::debug)) return;
    detail::log_line(LogLevel::debug, format, fmt::make_format_args(args...));
}

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    if (!log_enabled(LogLevel::info)) return;
    detail::log_line(LogLevel::info, format, fmt::make_format_args(args...));
}

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
    if (!log_enabled(LogLevel::warning)) return;
    detail::log_line(LogLevel::warning, format, fmt::make_format_args(args...));
}

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    if (!log_enabled(LogLevel::error)) return;
    detail::log_line(LogLevel::error, format, fmt::make_format_args(args...));
}

/// For what may happen many times a second: `if (full_.permit(now)) log_warning("…")`.
/// Thread: its owner's.
class RateLimitedLog {
  public:
    explicit constexpr RateLimitedLog(std::uint64_t interval_ms) : interval_ms_(interval_ms) {}

    /// True for the first call, and then once an interval; every refusal is counted.
    [[nodiscard]] bool permit(std::uint64_t now_ms) {
        if (now_ms < next_ms_) {
            ++suppressed_;
            return false;
        }
        next_ms_ = now_ms + interval_ms_;
        return true;
    }

    /// Refusals since this was last called; to be mentioned in the line that permit() allowed.
    [[nodiscard]] std::uint64_t take_suppressed() { return std::exchange(suppressed_, 0); }

  private:
    std::uint64_t interval_ms_;
    std::uint64_t next_ms_ = 0;
    std::uint64_t suppressed_ = 0;
};

}  // namespace palier::base
