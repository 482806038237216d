#include "palier/base/log.h"

#include <iterator>
#include <memory>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace palier::base {
namespace {

/// Never destroyed: other threads may log until the process has ended.
spdlog::logger& logger() {
    static spdlog::logger* const instance = [] {
        auto* made = new spdlog::logger("palier", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_level(spdlog::level::trace);
        made->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                                                                        spdlog::pattern_time_type::utc));
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            break;
    }
    return spdlog::level::err;
}

bool is_control(char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
}

void append_without_controls(fmt::memory_buffer& out, const fmt::memory_buffer& text) {
    for (const char byte : text) {
        if (is_control(byte)) {
            fmt::format_to(std::back_inserter(out), "\\x{:02X}", static_cast<unsigned char>(byte));
        } else {
            out.push_back(byte);
        }
    }
}

}  // namespace

namespace detail {

std::atomic<LogLevel> log_threshold{LogLevel::info};

void log_line(LogLevel level, fmt::string_view format, fmt::format_args args) {
    fmt::memory_buffer text;
    fmt::vformat_to(std::back_inserter(text), format, args);
    fmt::memory_buffer line;
    append_without_controls(line, text);
    logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace detail

void log_start(LogLevel level) {
    detail::log_threshold.store(level, std::memory_order_relaxed);
}

}  // namespace palier::base
