// Where access log lines end up: a file, or whatever stdout and stderr are. Writing never waits for a reader.
// Thread: one at a time. Owner: the access log's thread.
#pragma once

#include "palier/base/result.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace palier::proxy {

class LogDestination {
  public:
    /// "stdout", "stderr" or the path of a file, which is created with mode 0640 and appended to.
    [[nodiscard]] static base::Result<LogDestination> open(const std::string& name);

    ~LogDestination();
    LogDestination(LogDestination&& other) noexcept;
    LogDestination& operator=(LogDestination&& other) noexcept;

    [[nodiscard]] const std::string& name() const { return name_; }
    /// Whether it has a path of its own, which could be opened again.
    [[nodiscard]] bool is_path() const;

    /// Writes some of `bytes` and returns how many; 0 when the reader has left no room. To pipes and
    /// terminals, which others may be writing to as well, only whole lines go at a time, so that lines do not
    /// mix; but one longer than PIPE_BUF goes in pieces. Fails with an errno.
    [[nodiscard]] std::expected<std::size_t, int> write_some(std::string_view bytes);

    /// Waits until there may be room, or `timeout_ms` have passed.
    void wait_writable(int timeout_ms) const;

  private:
    enum class Kind : std::uint8_t { file, stream, socket };

    LogDestination(std::string name, int fd, bool owned) : name_(std::move(name)), fd_(fd), owned_(owned) {}

    [[nodiscard]] static base::Result<LogDestination> share(const std::string& name, int fd);
    [[nodiscard]] base::Result<void> find_kind();
    [[nodiscard]] bool writable(int timeout_ms) const;
    void swap(LogDestination& other) noexcept;

    std::string name_;
    int fd_ = -1;
    bool owned_ = false;
    Kind kind_ = Kind::file;
    bool may_block_ = false;  // no room means waiting, not EAGAIN
};

}  // namespace palier::proxy
