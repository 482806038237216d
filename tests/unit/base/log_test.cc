#include "palier/base/log.h"

#include "captured_descriptor.h"
#include "catch.h"

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace palier::base;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::size_t start = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
        lines.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    CHECK(start == text.size());
    return lines;
}

bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/// Whether `line` is a time, a space and `rest`.
bool is_event(std::string_view line, std::string_view rest) {
    constexpr std::string_view kShape = "0000-00-00T00:00:00.000Z ";
    if (line.size() < kShape.size() || line.substr(kShape.size()) != rest) return false;
    for (std::size_t i = 0; i < kShape.size(); ++i) {
        if (kShape[i] == '0' ? !is_digit(line[i]) : line[i] != kShape[i]) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("an event is one line on stderr with time, level and message") {
    const palier::test::CapturedDescriptor captured(STDERR_FILENO);
    log_start(LogLevel::debug);
    log_debug("one");
    log_info("server {} is back after {} ms", "front1", 250);
    log_warning("three");
    log_error("four");
    log_start(LogLevel::info);
    const auto lines = lines_of(captured.text());
    REQUIRE(lines.size() == 4);
    CHECK(is_event(lines[0], "debug one"));
    CHECK(is_event(lines[1], "info server front1 is back after 250 ms"));
    CHECK(is_event(lines[2], "warning three"));
    CHECK(is_event(lines[3], "error four"));
}

TEST_CASE("an event's time is UTC") {
    const palier::test::CapturedDescriptor captured(STDERR_FILENO);
    const auto hour = [] {
        const auto now = std::chrono::system_clock::now();
        return fmt::format(
            "{:02}", std::chrono::duration_cast<std::chrono::hours>(now.time_since_epoch()).count() % 24);
    };
    std::string before;
    std::string logged;
    do {  // once more if the hour turned
        before = hour();
        log_info("now");
        logged = lines_of(captured.text()).back().substr(11, 2);
    } while (before != hour());
    CHECK(logged == before);
}

TEST_CASE("events below the level are not written") {
    const palier::test::CapturedDescriptor captured(STDERR_FILENO);
    log_start(LogLevel::warning);
    log_debug("no");
    log_info("no");
    CHECK(!log_enabled(LogLevel::info));
    CHECK(log_enabled(LogLevel::error));
    CHECK(captured.text().empty());
    log_error("yes");
    log_start(LogLevel::info);
    CHECK(lines_of(captured.text()).size() == 1);
}

TEST_CASE("a message cannot break its line") {
    const palier::test::CapturedDescriptor captured(STDERR_FILENO);
    log_info("host {}", "a\r\n2026 error forged\x1b[31m\x7f é");
    const auto lines = lines_of(captured.text());
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].ends_with("host a\\x0D\\x0A2026 error forged\\x1B[31m\\x7F é"));
}

TEST_CASE("lines of several threads do not mix") {
    const palier::test::CapturedDescriptor captured(STDERR_FILENO);
    const std::string filling(200, 'x');
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&filling] {
            for (int line = 0; line < 200; ++line)
                log_info("{}", filling);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    const auto lines = lines_of(captured.text());
    CHECK(lines.size() == 800);
    for (const std::string& line : lines)
        REQUIRE(is_event(line, "info " + filling));
}

TEST_CASE("a rate-limited log lets one through an interval and counts the others") {
    RateLimitedLog limited(1000);
    CHECK(limited.permit(50));
    CHECK(limited.take_suppressed() == 0);
    CHECK_FALSE(limited.permit(51));
    CHECK_FALSE(limited.permit(1049));
    CHECK(limited.permit(1050));
    CHECK(limited.take_suppressed() == 2);
    CHECK(limited.take_suppressed() == 0);
    CHECK_FALSE(limited.permit(2049));
    CHECK(limited.permit(9000));
    CHECK(limited.take_suppressed() == 1);
}
