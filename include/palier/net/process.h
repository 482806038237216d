// Process: a child process, its output line by line, and its end.
//
// The child begins with palier's environment (changed where asked), default signal dispositions and an empty signal
// mask, /dev/null as its stdin, and no other descriptor of palier's. What it prints is read all the time, however much
// that is: lines over 4 KiB are cut, and what exceeds 1,000 lines or 256 KiB in a second is dropped and counted.
//
//   terminate()  SIGTERM to the child (its whole group, with a session of its own), SIGKILL after the grace; once the
//                child has ended, what is left of its group is killed
//   its end      told once, after its output: but a process in the background that keeps the pipes open is waited for
//                one second only, then they are closed
//
// Thread: the loop's. Owner: whoever started it. Ends: the destructor, which kills a child that still runs, unless
// release() let it go.
#pragma once

#include "palier/base/result.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace palier::net {

class Process {
  public:
    enum class Stream : std::uint8_t { out, err };

    struct Line {
        Stream stream = Stream::out;
        std::string_view text;      // any bytes, without the newline; valid during the call
        bool cut = false;           // it was longer
        std::uint64_t dropped = 0;  // lines of both streams that were left out just before
    };

    struct End {
        int status = 0;             // of its exit; means nothing with a signal
        int signal = 0;             // that ended it; 0: none
        bool out_of_reach = false;  // five seconds after SIGKILL it still ran; it was given up
        std::uint64_t dropped = 0;  // lines left out, over its whole life

        [[nodiscard]] bool well() const { return status == 0 && signal == 0 && !out_of_reach; }
        /// "exit status 3", "ended by signal 9 (Killed)"
        [[nodiscard]] std::string words() const;
    };

    struct Options {
        std::vector<std::string> argv;  // at least one; without a slash, the first is looked up in PATH
        /// Set in the child's environment, or removed from it where there is no value.
        std::vector<std::pair<std::string, std::optional<std::string>>> environment = {};
        bool own_session = true;                        // and so a process group of its own
        std::function<void(const Line&)> on_line = {};  // none: stdout and stderr are palier's own
        std::function<void(const End&)> on_end = {};
    };

    /// Fails with a sentence when there is no such program or it cannot be executed. No callback is called before this
    /// has returned; each may destroy the Process.
    [[nodiscard]] static base::Result<std::unique_ptr<Process>> start(Loop& loop, Options options);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] int pid() const;
    /// Its end was not told yet.
    [[nodiscard]] bool running() const;

    /// A second call shortens the grace if it is smaller; 0 kills at once.
    void terminate(std::uint64_t grace_ms);

    /// Nothing is read or told any more, and the child lives on: for a palier that ends before it does. While this
    /// process lives, nobody asks for the child's exit status.
    void release();

  private:
    struct State;

    explicit Process(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

/// A container's first process inherits every process there whose parent has ended: takes note of the end of those that
/// have ended, so that they do not stay as zombies. Not those of a Process. To be called now and then, on the loop's
/// thread.
void reap_orphans();

}  // namespace palier::net
