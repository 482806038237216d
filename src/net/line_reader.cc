#include "net/line_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <unistd.h>

namespace palier::net {
namespace {

constexpr std::size_t kReadAtOnce = 64 * 1024;
constexpr std::uint64_t kPeriodMs = 64;
constexpr std::size_t kMostInPeriod = 1024 * 1024;

}  // namespace

LineReader::LineReader(Loop& loop, OnLine on_line, std::function<void()> on_end)
    : loop_(loop),
      on_line_(std::move(on_line)),
      on_end_(std::move(on_end)),
      pause_(base::Timer::calling<&LineReader::on_pause_over>(this)) {}

LineReader::~LineReader() {
    if (is_open()) ::close(descriptor_);
}

bool LineReader::open(int descriptor) {
    if (!loop_.watch_level(descriptor, *this)) {
        ::close(descriptor);
        return false;
    }
    descriptor_ = descriptor;
    return true;
}

void LineReader::close() {
    if (!is_open()) return;
    loop_.unwatch(descriptor_);
    ::close(std::exchange(descriptor_, -1));
    base::TimerWheel::disarm(pause_);
    if (!line_.empty()) tell_line();
}

void LineReader::on_events(std::uint32_t /*ready*/) {
    if (!is_open()) return;
    std::array<char, kReadAtOnce> data;  // filled by the kernel
    const ssize_t got = ::read(descriptor_, data.data(), data.size());
    if (got > 0) {
        read_in_period_ += static_cast<std::size_t>(got);
        take({data.data(), static_cast<std::size_t>(got)});
        pause_if_flooded();
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close();
        on_end_();
    }
}

void LineReader::pause_if_flooded() {
    if (!is_open()) return;
    if (loop_.now_ms() - period_from_ms_ >= kPeriodMs) {
        period_from_ms_ = loop_.now_ms();
        read_in_period_ = 0;
    } else if (read_in_period_ >= kMostInPeriod) {
        loop_.unwatch(descriptor_);
        loop_.timers().arm(pause_, period_from_ms_ + kPeriodMs);
    }
}

void LineReader::on_pause_over() {
    if (loop_.watch_level(descriptor_, *this)) return;
    close();
    on_end_();
}

void LineReader::take(std::string_view bytes) {
    while (!bytes.empty() && is_open()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        const std::size_t room = kLongestLine - line_.size();
        cut_ = cut_ || part.size() > room;
        line_.append(part.substr(0, room));
        if (end == std::string_view::npos) return;
        bytes.remove_prefix(end + 1);
        tell_line();
    }
}

void LineReader::tell_line() {
    const std::string line = std::exchange(line_, {});
    on_line_(line, std::exchange(cut_, false));
}

}  // namespace palier::net
