// The access log's thread. Workers put blocks into a queue; the thread takes all that are there, writes them
// and puts the empty ones back for reuse. It waits for a reader in short steps, to tell of what was lost
// meanwhile and to notice that it should end.
#include "log_destination.h"
#include "palier/base/log.h"
#include "palier/proxy/access_log.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <signal.h>

namespace palier::proxy {
namespace {

using BlockPointer = std::unique_ptr<AccessLogBlock>;

constexpr std::size_t kMaxSpares = 16;         // empty blocks that are kept
constexpr std::uint64_t kReportMs = 1000;      // between two lines about losses
constexpr std::uint64_t kStopMs = 1000;        // for what is queued at the end
constexpr std::uint64_t kStopMarginMs = 1000;  // for a thread that should have ended by then
constexpr int kPollMs = 50;

std::uint64_t count_lines(std::string_view text) {
    return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

class AccessLogWriter::Thread {
  public:
    explicit Thread(LogDestination destination);

    [[nodiscard]] BlockPointer hand_over(BlockPointer block);
    [[nodiscard]] bool behind() const {
        return outstanding_.load(std::memory_order_relaxed) >= kMaxBlocks / 2;
    }
    void count_dropped(std::uint64_t lines) { dropped_.fetch_add(lines, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t lost() const {
        return dropped_.load(std::memory_order_relaxed) + failed_.load(std::memory_order_relaxed);
    }
    void reopen();

    void start();
    void finish();
    [[nodiscard]] bool finished();
    /// False when the thread is still inside a system call, and goes on using this object.
    [[nodiscard]] bool stop();

  private:
    void run();
    [[nodiscard]] bool take_work();
    void open_again();
    void write_block(const AccessLogBlock& block);
    [[nodiscard]] std::string_view write_all(std::string_view text);
    void recycle(BlockPointer block);
    [[nodiscard]] bool unreported() const;
    void report();

    std::thread thread_;

    std::mutex mutex_;
    std::condition_variable changed_;
    // Under mutex_:
    std::vector<BlockPointer> queue_;
    std::vector<BlockPointer> spares_;
    bool stopping_ = false;
    bool stopped_ = false;
    bool reopen_ = false;

    std::atomic<std::size_t> outstanding_ = 0;  // changed under mutex_, read without it
    std::atomic<std::uint64_t> give_up_at_ = std::numeric_limits<std::uint64_t>::max();  // monotonic_ms
    std::atomic<std::uint64_t> dropped_ = 0;  // lines for which there was no room
    std::atomic<std::uint64_t> failed_ = 0;   // lines that could not be written

    // The thread's own:
    LogDestination destination_;
    std::vector<BlockPointer> batch_;
    bool wants_reopen_ = false;
    bool torn_ = false;   // the last byte written was not the end of a line
    int error_ = 0;       // of the last write
    int last_error_ = 0;  // that lost lines
    std::uint64_t reported_dropped_ = 0;
    std::uint64_t reported_failed_ = 0;
    base::RateLimitedLog reports_{kReportMs};
};

AccessLogWriter::Thread::Thread(LogDestination destination) : destination_(std::move(destination)) {
    queue_.reserve(kMaxBlocks);
    batch_.reserve(kMaxBlocks);
    spares_.reserve(kMaxSpares);
}

/// The thread takes no signals: they are the control thread's, and SIGPIPE becomes EPIPE.
void AccessLogWriter::Thread::start() {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void AccessLogWriter::Thread::finish() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    give_up_at_.store(base::monotonic_ms() + kStopMs, std::memory_order_relaxed);
    changed_.notify_all();
}

bool AccessLogWriter::Thread::finished() {
    const std::lock_guard lock(mutex_);
    return stopped_;
}

bool AccessLogWriter::Thread::stop() {
    finish();
    const std::uint64_t until = give_up_at_.load(std::memory_order_relaxed) + kStopMarginMs;
    const std::uint64_t now = base::monotonic_ms();
    const auto patience = std::chrono::milliseconds(until > now ? until - now : 0);
    std::unique_lock lock(mutex_);
    const bool ended = changed_.wait_for(lock, patience, [this] { return stopped_; });
    lock.unlock();
    if (ended) {
        thread_.join();
    } else {
        thread_.detach();
    }
    return ended;
}

BlockPointer AccessLogWriter::Thread::hand_over(BlockPointer block) {
    if (outstanding_.load(std::memory_order_relaxed) >= kMaxBlocks) return block;
    BlockPointer empty;
    {
        const std::lock_guard lock(mutex_);
        if (outstanding_.load(std::memory_order_relaxed) >= kMaxBlocks) return block;
        outstanding_.fetch_add(1, std::memory_order_relaxed);
        queue_.push_back(std::move(block));
        if (!spares_.empty()) {
            empty = std::move(spares_.back());
            spares_.pop_back();
        }
    }
    changed_.notify_all();
    if (empty == nullptr) empty = std::make_unique_for_overwrite<AccessLogBlock>();
    return empty;
}

void AccessLogWriter::Thread::recycle(BlockPointer block) {
    block->size = 0;
    const std::lock_guard lock(mutex_);
    outstanding_.fetch_sub(1, std::memory_order_relaxed);
    if (spares_.size() < kMaxSpares) spares_.push_back(std::move(block));
}

void AccessLogWriter::Thread::reopen() {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
    changed_.notify_all();
}

void AccessLogWriter::Thread::run() {
    ::pthread_setname_np(::pthread_self(), "access-log");
    while (take_work()) {
        if (std::exchange(wants_reopen_, false)) open_again();
        for (BlockPointer& block : batch_) {
            write_block(*block);
            recycle(std::move(block));
        }
        batch_.clear();
        if (unreported() && reports_.permit(base::monotonic_ms())) report();
    }
    if (unreported()) report();
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
}

/// Waits for blocks, a wish, or the time to report; false when all is done and it is time to end.
bool AccessLogWriter::Thread::take_work() {
    std::unique_lock lock(mutex_);
    const auto has_work = [this] { return !queue_.empty() || reopen_ || stopping_; };
    if (unreported()) {
        changed_.wait_for(lock, std::chrono::milliseconds(kReportMs), has_work);
    } else {
        changed_.wait(lock, has_work);
    }
    wants_reopen_ = std::exchange(reopen_, false);
    batch_.swap(queue_);
    return !(stopping_ && batch_.empty());
}

void AccessLogWriter::Thread::open_again() {
    if (!destination_.is_path()) return;
    auto opened = LogDestination::open(destination_.name());
    if (!opened) {
        base::log_error("access log: {}; the old file stays in use", opened.error().message);
        return;
    }
    destination_ = std::move(*opened);
    torn_ = false;
    base::log_info("access log: opened {} again", destination_.name());
}

void AccessLogWriter::Thread::write_block(const AccessLogBlock& block) {
    const std::string_view text(block.bytes.data(), block.size);
    if (torn_ && write_all("\n").empty()) torn_ = false;
    const std::string_view rest = torn_ ? text : write_all(text);
    if (rest.empty()) return;
    if (error_ != 0) last_error_ = error_;
    (error_ != 0 ? failed_ : dropped_).fetch_add(count_lines(rest), std::memory_order_relaxed);
    if (rest.size() < text.size()) torn_ = text[text.size() - rest.size() - 1] != '\n';
}

/// Returns what could not be written, with the cause in error_; 0 there when the reader did not take it in
/// time.
std::string_view AccessLogWriter::Thread::write_all(std::string_view text) {
    error_ = 0;
    while (!text.empty()) {
        const std::uint64_t now = base::monotonic_ms();
        if (now >= give_up_at_.load(std::memory_order_relaxed)) break;
        const auto written = destination_.write_some(text);
        if (!written) {
            error_ = written.error();
            break;
        }
        text.remove_prefix(*written);
        if (*written > 0) continue;
        if (unreported() && reports_.permit(now)) report();
        destination_.wait_writable(kPollMs);
    }
    return text;
}

bool AccessLogWriter::Thread::unreported() const {
    return lost() != reported_dropped_ + reported_failed_;
}

void AccessLogWriter::Thread::report() {
    const std::uint64_t dropped = dropped_.load(std::memory_order_relaxed);
    const std::uint64_t failed = failed_.load(std::memory_order_relaxed);
    if (dropped != reported_dropped_) {
        base::log_warning("access log: {} lines dropped, its reader is too slow",
                          dropped - reported_dropped_);
    }
    if (failed != reported_failed_) {
        base::log_error("access log: {} lines lost: {}", failed - reported_failed_,
                        std::system_category().message(last_error_));
    }
    reported_dropped_ = dropped;
    reported_failed_ = failed;
}

base::Result<std::unique_ptr<AccessLogWriter>> AccessLogWriter::open(const config::LogConfig& config) {
    if (config.access == "off") return nullptr;
    auto destination = LogDestination::open(config.access);
    if (!destination) return std::unexpected(destination.error());
    auto thread = std::make_unique<Thread>(std::move(*destination));
    thread->start();
    return std::unique_ptr<AccessLogWriter>(new AccessLogWriter(std::move(thread)));
}

AccessLogWriter::AccessLogWriter(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}

AccessLogWriter::~AccessLogWriter() {
    // A thread that the kernel holds in write(2) cannot be ended; its object stays with it until the process
    // ends.
    if (!thread_->stop()) static_cast<void>(thread_.release());
}

void AccessLogWriter::finish() {
    thread_->finish();
}

bool AccessLogWriter::finished() const {
    return thread_->finished();
}

void AccessLogWriter::reopen() {
    thread_->reopen();
}

std::unique_ptr<AccessLogBlock> AccessLogWriter::hand_over(std::unique_ptr<AccessLogBlock> block) {
    return thread_->hand_over(std::move(block));
}

bool AccessLogWriter::behind() const {
    return thread_->behind();
}

void AccessLogWriter::count_dropped(std::uint64_t lines) {
    thread_->count_dropped(lines);
}

std::uint64_t AccessLogWriter::dropped() const {
    return thread_->lost();
}

}  // namespace palier::proxy
