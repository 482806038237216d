// NameWatcher: keeps the addresses of servers that are configured by host name: asks again when an answer
// expires and when connecting to one of its addresses failed. A name that stops resolving keeps its last
// addresses. Thread: control only. Owner: the supervisor. Ends: the destructor.
#pragma once

#include "palier/net/resolver.h"
#include "palier/pool/pool_snapshot.h"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

namespace palier::control {

class NameWatcher {
  public:
    /// `changed` is called whenever addresses() has become another.
    NameWatcher(net::Loop& loop, std::function<void()> changed);
    NameWatcher(const NameWatcher&) = delete;
    NameWatcher& operator=(const NameWatcher&) = delete;

    /// Watches the names that these configurations use, and no others.
    void watch(std::span<const config::Config* const> configs);

    [[nodiscard]] const pool::Addresses& addresses() const { return addresses_; }
    /// Whether every name has had its first answer, good or bad.
    [[nodiscard]] bool settled() const;

    /// A server of this host could not be reached: ask again soon.
    void doubt(const std::string& host);

  private:
    struct Name {
        std::uint64_t ask_at_ms = 0;
        bool asking = false;
        bool answered = false;
        bool failing = false;
        std::uint64_t asked_at_ms = 0;
    };

    void on_timer();
    void ask(const std::string& host, Name& name);
    void on_answer(const std::string& host, base::Result<net::Resolution> answer);

    net::Loop& loop_;
    std::function<void()> changed_;
    std::map<std::string, Name> names_;
    pool::Addresses addresses_;
    net::Resolver resolver_;
    base::Timer timer_;
};

}  // namespace palier::control
