#include "app/gates.h"

#include "palier/base/log.h"
#include "palier/net/deferred.h"
#include "palier/proxy/client_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <unistd.h>

namespace palier::app {
namespace {

using Facts = std::shared_ptr<proxy::ListenerFacts>;

constexpr std::uint64_t kResumeMs = 250;  // between two attempts to accept again

/// All that a connection keeps is the same; the place in the configuration may have changed.
bool same_but_for_place(const proxy::ListenerFacts& a, proxy::ListenerFacts b) {
    b.index = a.index;
    b.leaving = a.leaving;
    return a == b;
}

/// The place of the listener of that name; kNoListener: it has left the configuration.
std::size_t place_of(const std::string& name, const config::Config& config) {
    const auto found = std::ranges::find(config.listeners, name, &config::ListenerConfig::name);
    if (found == config.listeners.end()) return proxy::kNoListener;
    return static_cast<std::size_t>(found - config.listeners.begin());
}

}  // namespace

/// One listening socket. Events of the turn in which it closes may still name it.
class Gates::Gate final : public net::Deferred, private net::Listener::Acceptor {
  public:
    Gate(Gates& gates, WorkerListener listener)
        : gates_(gates),
          descriptor_(listener.descriptor),
          facts_(std::make_shared<proxy::ListenerFacts>(std::move(listener.facts))),
          listener_(gates.loop_, listener.descriptor, *this) {}
    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] std::size_t connections() const {
        auto count = static_cast<std::size_t>(facts_.use_count()) - 1;  // its own
        for (const auto& former : former_)
            count += static_cast<std::size_t>(former.use_count());
        return count;
    }

    void pause() { listener_.pause(); }
    void resume() { listener_.resume(); }
    void drain() { listener_.drain(); }
    void close() { listener_.close(); }

    void renew(proxy::ListenerFacts facts) {
        for_all([&](proxy::ListenerFacts& known) { known.index = facts.index; });
        if (same_but_for_place(*facts_, facts)) return;
        former_.emplace_back(facts_);
        facts_ = std::make_shared<proxy::ListenerFacts>(std::move(facts));
    }
    /// Its clients are told to go, those too that are accepted from now on.
    void leave() {
        for_all([](proxy::ListenerFacts& known) { known.leaving = true; });
    }
    /// Those that connections have.
    void give_facts(std::vector<std::weak_ptr<proxy::ListenerFacts>>& to) {
        former_.emplace_back(facts_);
        facts_.reset();
        std::ranges::copy_if(former_, std::back_inserter(to),
                             [](const auto& facts) { return !facts.expired(); });
    }

  private:
    template <typename Do>
    void for_all(Do change) {
        change(*facts_);
        std::erase_if(former_, [](const auto& facts) { return facts.expired(); });
        for (const auto& former : former_) {
            if (const Facts known = former.lock()) change(*known);
        }
    }
    void on_accept(int descriptor, const base::SocketAddress& peer) override {
        proxy::ClientConnection::accept(gates_.core_, facts_, descriptor, peer);
        if (gates_.full()) gates_.pause("limits.connections reached");
    }
    void on_accept_exhausted(int error) override { gates_.pause(std::strerror(error)); }

    Gates& gates_;
    int descriptor_;
    Facts facts_;
    std::vector<std::weak_ptr<proxy::ListenerFacts>> former_;
    net::Listener listener_;
};

Gates::Gates(net::Loop& loop, proxy::WorkerCore& core, unsigned worker, std::size_t max_connections)
    : loop_(loop),
      core_(core),
      worker_(worker),
      max_connections_(max_connections),
      resume_timer_(base::Timer::calling<&Gates::resume>(this)) {}

Gates::~Gates() = default;

bool Gates::take(std::vector<WorkerListener> listeners) {
    auto old = std::exchange(gates_, {});
    const auto gate_of = [&](int descriptor) -> std::unique_ptr<Gate>* {
        const auto found = std::ranges::find_if(
            old, [&](const auto& gate) { return gate && gate->descriptor() == descriptor; });
        return found == old.end() ? nullptr : &*found;
    };
    for (const WorkerListener& listener : listeners) {
        if (auto* gate = gate_of(listener.descriptor)) {
            (*gate)->renew(listener.facts);
            gates_.push_back(std::move(*gate));
        } else if (!listener.fresh) {
            continue;  // closed already
        } else if (closed_) {
            ::close(listener.descriptor);
        } else {
            gates_.push_back(std::make_unique<Gate>(*this, listener));
            if (paused_) gates_.back()->pause();
        }
    }
    for (auto& gate : old) {
        if (!gate) continue;
        gate->leave();
        gate->drain();
        let_go(std::move(gate));
    }
    std::erase_if(departed_, [](const auto& facts) { return facts.expired(); });
    return !departed_.empty();
}

void Gates::follow(const config::Config& config) {
    for (const auto& departed : departed_) {
        const Facts facts = departed.lock();
        if (facts == nullptr) continue;
        facts->index = place_of(facts->name, config);
        if (facts->index == proxy::kNoListener) facts->leaving = true;
    }
}

void Gates::let_go(std::unique_ptr<Gate> gate) {
    gate->give_facts(departed_);
    loop_.defer_delete(std::move(gate));
}

void Gates::set_max_connections(std::size_t most) {
    max_connections_ = most;
    if (full()) {
        pause("limits.connections reached");
    } else {
        resume();
    }
}

void Gates::shut() {
    for (auto& gate : std::exchange(gates_, {})) {
        gate->drain();
        let_go(std::move(gate));
    }
}

void Gates::drain() {
    shut();
    end();
}

void Gates::close() {
    for (auto& gate : std::exchange(gates_, {})) {
        gate->close();
        let_go(std::move(gate));
    }
    end();
}

void Gates::end() {
    closed_ = true;
    base::TimerWheel::disarm(resume_timer_);
}

std::map<int, std::size_t> Gates::connections() const {
    std::map<int, std::size_t> counts;
    for (const auto& gate : gates_)
        counts.emplace(gate->descriptor(), gate->connections());
    return counts;
}

void Gates::pause(std::string_view why) {
    if (closed_) return;
    for (auto& gate : gates_)
        gate->pause();
    paused_ = true;
    if (!std::exchange(pause_logged_, true)) {
        base::log_warning("worker {}: accepting is paused at {} client connections: {}", worker_,
                          core_.connection_count, why);
    }
    loop_.timers().arm(resume_timer_, loop_.now_ms() + kResumeMs);
}

void Gates::resume() {
    if (!paused_ || closed_) return;
    if (full()) {
        loop_.timers().arm(resume_timer_, loop_.now_ms() + kResumeMs);
        return;
    }
    paused_ = false;
    // Said again only after there was ample room in between.
    if (core_.connection_count < max_connections_ / 2) pause_logged_ = false;
    for (auto& gate : gates_)
        gate->resume();
}

}  // namespace palier::app
