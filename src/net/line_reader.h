// LineReader: the lines of a pipe whose writer is not trusted to be brief: never more than a line is kept, and never
// more than 16 MiB are read in a second, so that a writer without end is slowed down instead of keeping the loop busy.
// Thread: the loop's. Owner: a Process, which outlives the turn in which it closed this. Ends: close(), or the pipe's.
#pragma once

#include "palier/base/timer_wheel.h"
#include "palier/net/loop.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace palier::net {

class LineReader final : private Watcher {
  public:
    static constexpr std::size_t kLongestLine = 4096;

    using OnLine = std::function<void(std::string_view text, bool cut)>;

    LineReader(Loop& loop, OnLine on_line, std::function<void()> on_end);
    ~LineReader();

    /// Takes a descriptor that does not block. False: it could not be watched and was closed.
    [[nodiscard]] bool open(int descriptor);
    [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
    /// Tells a last line that had no newline, not the end.
    void close();

  private:
    void on_events(std::uint32_t ready) override;
    void on_pause_over();
    void take(std::string_view bytes);
    void tell_line();
    void pause_if_flooded();

    Loop& loop_;
    OnLine on_line_;
    std::function<void()> on_end_;
    int descriptor_ = -1;
    std::string line_;  // as far as it came
    bool cut_ = false;
    std::uint64_t period_from_ms_ = 0;
    std::size_t read_in_period_ = 0;
    base::Timer pause_;
};

}  // namespace palier::net
