// Resolver: host names to IP addresses without blocking, with c-ares (which also reads /etc/hosts).
// Thread: that of its loop. Owner: the control thread. Ends: the destructor, which drops what is under way.
#pragma once

#include "palier/base/ip.h"
#include "palier/net/loop.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct ares_channeldata;

namespace palier::net {

struct Resolution {
    std::vector<base::IpAddress> addresses;  // sorted, each once
    std::uint32_t ttl_s = 0;                 // the shortest of the records'; 0: not told (a hosts file)
};

class Resolver final : private Task {
  public:
    using Answer = std::function<void(base::Result<Resolution>)>;

    explicit Resolver(Loop& loop);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Calls `answer` later, once, unless the resolver ends before.
    void resolve(const std::string& host, Answer answer);

  private:
    class Descriptor;
    struct Query;
    struct Answered {
        Answer answer;
        base::Result<Resolution> result;
    };

    void on_again() override;
    void on_timer();
    void process(int readable, int writable);
    void watch(int descriptor, bool readable, bool writable);
    void arm();

    Loop& loop_;
    ares_channeldata* channel_ = nullptr;
    base::Timer timer_;
    std::map<int, std::unique_ptr<Descriptor>> descriptors_;
    std::vector<Answered> answered_;  // to be told in the next turn: c-ares may know at once
    std::size_t pending_ = 0;
};

}  // namespace palier::net
