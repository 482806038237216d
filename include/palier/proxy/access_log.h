// The access log: one line an exchange. Each worker formats into a block of its own; full blocks go to one
// thread, which alone writes. A reader that stalls costs lines, which are counted, and never a worker's time.
#pragma once

#include "palier/base/clock.h"
#include "palier/base/result.h"
#include "palier/config/config.h"
#include "palier/proxy/termination.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace palier::proxy {

/// What a line says. Views need to live for the call only; what is not known stays empty or 0.
struct AccessRecord {
    std::string_view client;  // the address's text
    std::string_view listener;
    std::string_view method;
    std::string_view host;
    std::string_view path;      // with its query
    std::string_view protocol;  // "HTTP/1.1"
    std::string_view pool;
    std::string_view server;
    std::string_view request_id;
    std::string_view referer;
    std::string_view user_agent;
    std::uint64_t bytes_in = 0;  // on the client's connection, heads and bodies
    std::uint64_t bytes_out = 0;
    std::uint64_t ttfb_us = 0;  // from the request's first byte to the response's
    std::uint64_t total_us = 0;
    std::uint32_t tries = 0;
    std::uint16_t status = 0;
    Termination reason = Termination::ok;
};

/// Whole lines, on their way from a worker to the writer's thread.
struct AccessLogBlock {
    static constexpr std::size_t kCapacity = 64 * 1024;

    std::size_t size = 0;
    std::array<char, kCapacity> bytes;
};

/// The destination and the thread that writes to it.
/// Thread: any. Owner: the supervisor; outlives every AccessLog that was given it.
class AccessLogWriter {
  public:
    /// Blocks that are waiting or being written, over all workers.
    static constexpr std::size_t kMaxBlocks = 64;

    /// Opens `config.access` and starts the thread; null for "off". A file is created with mode 0640 and
    /// appended to. Fails when it cannot be opened.
    [[nodiscard]] static base::Result<std::unique_ptr<AccessLogWriter>> open(const config::LogConfig& config);

    /// Finishes, and waits for it.
    ~AccessLogWriter();
    AccessLogWriter(const AccessLogWriter&) = delete;
    AccessLogWriter& operator=(const AccessLogWriter&) = delete;

    /// Has the thread open the file again, for log rotation; nothing for stdout and stderr. When that fails,
    /// the old file stays in use and the event log says why. Takes a lock: not for a signal handler.
    void reopen();

    /// Takes a block to write and returns an empty one; returns the same block, untouched, when kMaxBlocks
    /// are on their way already.
    [[nodiscard]] std::unique_ptr<AccessLogBlock> hand_over(std::unique_ptr<AccessLogBlock> block);
    /// Whether the thread is so far behind that it should be given full blocks only.
    [[nodiscard]] bool behind() const;

    /// No more blocks come. What is queued is written, but for no longer than a second from now on when the reader does
    /// not take it.
    void finish();
    /// It has finished: the destructor waits for nothing.
    [[nodiscard]] bool finished() const;

    /// Lines that found no room.
    void count_dropped(std::uint64_t lines);
    /// Lines lost since the start, for whatever reason.
    [[nodiscard]] std::uint64_t dropped() const;

  private:
    class Thread;

    explicit AccessLogWriter(std::unique_ptr<Thread> thread);

    std::unique_ptr<Thread> thread_;
};

/// A worker's end of it: formats, allocates nothing in steady state, never blocks.
/// Thread: worker only. Owner: the worker.
class AccessLog {
  public:
    /// Without a writer there is no log and write() does nothing.
    AccessLog(AccessLogWriter* writer, config::LogFormat format);
    /// Hands over what is left.
    ~AccessLog();
    AccessLog(const AccessLog&) = delete;
    AccessLog& operator=(const AccessLog&) = delete;

    [[nodiscard]] bool enabled() const { return writer_ != nullptr; }
    void set_format(config::LogFormat format) { format_ = format; }
    /// From now on lines go to `writer`; null: there is no log. What is left goes to the one until now.
    void set_writer(AccessLogWriter* writer);

    /// Appends the record's line, or drops and counts it when there is no room. Values that are longer than
    /// any honest one (8,000 bytes of a path, 2,000 of Referer and User-Agent, 256 of the rest) are cut.
    void write(const AccessRecord& record, base::WallClock& clock);

    /// Hands over the unfinished block; for a timer, about twice a second.
    void flush();

  private:
    [[nodiscard]] bool make_room(std::size_t size);
    void give_up_block();

    AccessLogWriter* writer_;
    config::LogFormat format_;
    std::unique_ptr<AccessLogBlock> block_;
};

}  // namespace palier::proxy
