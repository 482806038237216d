// What the access log's tests share: a folder of their own, and reading what was written.
#pragma once

#include "palier/proxy/access_log.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace palier::test {

class TempFolder {
  public:
    TempFolder() {
        std::string pattern = std::filesystem::temp_directory_path() / "palier-test-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

inline std::string contents_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<std::string> split_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::size_t start = 0;
    while (start < text.size()) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        lines.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return lines;
}

/// Whether `condition` came true within ten seconds.
template <typename Condition>
[[nodiscard]] bool comes_true(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// Everything that can be read without waiting.
inline std::string drain(int fd) {
    std::string text;
    std::array<char, 65536> chunk;
    for (;;) {
        const ssize_t size = ::read(fd, chunk.data(), chunk.size());
        if (size <= 0) return text;
        text.append(chunk.data(), static_cast<std::size_t>(size));
    }
}

/// A named pipe and its reading end, which takes nothing by itself.
class Fifo {
  public:
    explicit Fifo(std::string path) : path_(std::move(path)) {
        ::mkfifo(path_.c_str(), 0600);
        reader_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    ~Fifo() { close_reader(); }
    Fifo(const Fifo&) = delete;
    Fifo& operator=(const Fifo&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    void close_reader() {
        if (reader_ >= 0) ::close(std::exchange(reader_, -1));
    }
    /// Reads what is there now, and returns all that was read so far.
    const std::string& read() {
        text_ += drain(reader_);
        return text_;
    }
    [[nodiscard]] std::uint64_t lines_read() {
        read();
        return static_cast<std::uint64_t>(std::count(text_.begin(), text_.end(), '\n'));
    }

  private:
    std::string path_;
    int reader_ = -1;
    std::string text_;
};

[[nodiscard]] inline config::LogConfig logging_to(std::string access,
                                                  config::LogFormat format = config::LogFormat::json) {
    config::LogConfig config;
    config.access = std::move(access);
    config.format = format;
    return config;
}

/// A clock that stands at 2026-11-20T23:25:01.123Z.
[[nodiscard]] inline base::WallClock standing_clock() {
    base::WallClock clock(+[]() -> std::int64_t { return 1'795'217'101'123; });
    clock.update(0);
    return clock;
}

[[nodiscard]] inline proxy::AccessRecord example_record() {
    return {.client = "203.0.113.57",
            .listener = "https",
            .method = "GET",
            .host = "shop.example.com",
            .path = "/catalog?page=2",
            .protocol = "HTTP/1.1",
            .pool = "web",
            .server = "front1",
            .request_id = "4f1c2b3a",
            .referer = "https://shop.example.com/",
            .user_agent = "Mozilla/5.0",
            .bytes_in = 812,
            .bytes_out = 15321,
            .ttfb_us = 1834,
            .total_us = 12'003'004,
            .tries = 2,
            .status = 200,
            .reason = proxy::Termination::backend_cut};
}

}  // namespace palier::test
