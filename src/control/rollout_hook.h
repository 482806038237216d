// RolloutHook: one run of an operator's command for one server, with a deadline.
//
// Without `shell`, the command's words are the program and its arguments. With it, /bin/sh -c runs the whole. Both get
// PALIER_POOL, PALIER_SERVER, PALIER_ADDRESS and PALIER_NODE. What the hook prints becomes lines of UTF-8 without control
// characters. At the deadline its process group gets SIGTERM, and SIGKILL after a grace.
//
// Thread: control only. Owner: a RolloutServer. Ends: on_end, or the destructor, which kills the hook.
#pragma once

#include "control/rollout_words.h"
#include "palier/base/result.h"
#include "palier/base/timer_wheel.h"
#include "palier/config/config.h"
#include "palier/net/loop.h"
#include "palier/net/process.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace palier::control {

class RolloutHook {
  public:
    /// `line` is fit for a terminal and for JSON; at most 4 KiB of what was printed.
    using OnLine = std::function<void(net::Process::Stream stream, std::string_view line)>;
    /// `fault`: "" when the hook was well, else what happened, with the last that it said.
    using OnEnd = std::function<void(const std::string& fault)>;

    struct Settings {
        std::string command;
        bool shell = false;
        config::Duration timeout{0};
        std::uint64_t grace_ms = 0;  // between SIGTERM and SIGKILL
    };

    RolloutHook(net::Loop& loop, Settings settings, OnLine on_line, OnEnd on_end);
    RolloutHook(const RolloutHook&) = delete;
    RolloutHook& operator=(const RolloutHook&) = delete;

    /// Fails with what on_end would have said, and is over then.
    [[nodiscard]] base::Result<void> start(const RolloutPlace& place);
    /// on_end follows once it has ended.
    void terminate();

    [[nodiscard]] int pid() const { return process_->pid(); }

  private:
    void on_deadline();
    void on_output(const net::Process::Line& line);
    void on_exit(const net::Process::End& end);

    net::Loop& loop_;
    Settings settings_;
    OnLine on_line_;
    OnEnd on_end_;
    std::unique_ptr<net::Process> process_;
    base::Timer deadline_;
    bool late_ = false;
    std::string last_line_;
};

/// Any bytes as UTF-8 that a terminal can print: control characters and terminal sequences are left out, a tab becomes
/// a space, what is no character becomes U+FFFD.
[[nodiscard]] std::string tame(std::string_view bytes);

}  // namespace palier::control
