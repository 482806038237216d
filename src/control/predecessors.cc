#include "control/take_over_channel.h"
#include "palier/base/log.h"
#include "palier/control/last_clients.h"
#include "palier/net/deferred.h"
#include "palier/pool/server_state.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace palier::control {
namespace {

using nlohmann::json;

/// One that takes longer has a control thread that stands still.
constexpr std::uint64_t kPatienceMs = 5'000;

/// 0 for what is none.
std::uint32_t count_in(const json& numbers, std::size_t place) {
    if (!numbers.is_array() || numbers.size() <= place || !numbers[place].is_number_unsigned()) return 0;
    return numbers[place].get<std::uint32_t>();
}

/// Calls it once all copies are gone.
std::shared_ptr<void> after_all(Predecessors::Done done) {
    return {nullptr, [done = std::move(done)](std::nullptr_t) { done(); }};
}

}  // namespace

/// Events of the turn in which it is lost may still name it, and whoever is answered then may decide something anew.
class Predecessors::Predecessor final : public net::Deferred, private net::Watcher {
  public:
    Predecessor(net::Loop& loop, int channel, Engine& engine)
        : loop_(loop), channel_(channel), engine_(engine), number_(loop.now_us()) {
        if (!loop_.watch_level(channel_, *this)) lose();
    }
    ~Predecessor() override { lose(); }

    [[nodiscard]] int channel() const { return channel_; }
    [[nodiscard]] bool gone() const { return channel_ < 0; }

    void decide(const std::string& overlay, Done done) {
        if (overlay == decisions_) return done();
        decisions_ = overlay;
        order("decisions", overlay, std::move(done));
    }
    void order(const char* step, std::string text, Done done);
    /// It has no clients any more, or nothing can be done about them. Whatever waits is done.
    void lose();

  private:
    struct Order {
        std::uint64_t until_ms = 0;
        Done done;
    };
    struct Counted {
        std::shared_ptr<pool::ServerState> server;
        std::uint32_t in_flight = 0;
        std::uint32_t tunnels = 0;
    };

    void on_events(std::uint32_t ready) override;
    void count(const std::string& loads);
    void forget_loads();
    void on_late();

    net::Loop& loop_;
    int channel_;
    Engine& engine_;
    std::optional<std::string> decisions_;  // the last ones told
    std::uint64_t number_;                  // of the last order; no palier counts where the one before it did
    bool answers_ = true;                   // otherwise nothing is waited for, until it says something
    std::map<std::uint64_t, Order> orders_;  // not acknowledged yet, by number
    std::vector<Counted> counted_;
    base::Timer late_timer_ = base::Timer::calling<&Predecessor::on_late>(this);
};

void Predecessors::Predecessor::order(const char* step, std::string text, Done done) {
    if (gone()) return done();
    ++number_;
    if (answers_) {
        const std::uint64_t until_ms = loop_.now_ms() + kPatienceMs;
        orders_.emplace(number_, Order{.until_ms = until_ms, .done = std::move(done)});
        if (!late_timer_.armed()) loop_.timers().arm(late_timer_, until_ms);
        done = nullptr;
    }
    if (!tell(channel_, {.step = step, .number = number_, .text = std::move(text)})) lose();
    if (done) done();
}

void Predecessors::Predecessor::on_events(std::uint32_t /*ready*/) {
    if (gone()) return;
    const Heard heard = hear(channel_);
    if (heard.message) answers_ = true;
    if (heard.ended) {
        base::log_info("a palier before this one has ended");
        lose();
    } else if (heard.message && heard.message->step == "loads") {
        count(heard.message->text);
    } else if (heard.message && heard.message->step == "done") {
        const auto order = orders_.extract(heard.message->number);
        if (!order.empty()) order.mapped().done();
    }
}

/// Servers that it has and this one has not are nobody's concern.
void Predecessors::Predecessor::count(const std::string& loads) {
    forget_loads();
    const json told = json::parse(loads, nullptr, false);
    if (!told.is_object()) return;
    for (const auto& pool : engine_.snapshot().pools) {
        for (const pool::Server& server : pool->servers) {
            const auto load = told.find(server.state->name);
            if (load == told.end()) continue;
            const Counted& counted =
                counted_.emplace_back(server.state, count_in(*load, 0), count_in(*load, 1));
            server.state->former_in_flight.fetch_add(counted.in_flight);
            server.state->former_tunnels.fetch_add(counted.tunnels);
        }
    }
}

void Predecessors::Predecessor::forget_loads() {
    for (const Counted& counted : counted_) {
        counted.server->former_in_flight.fetch_sub(counted.in_flight);
        counted.server->former_tunnels.fetch_sub(counted.tunnels);
    }
    counted_.clear();
}

/// Once it is late with one order, nothing is waited for.
void Predecessors::Predecessor::on_late() {
    if (orders_.empty()) return;
    if (const std::uint64_t until_ms = orders_.begin()->second.until_ms; until_ms > loop_.now_ms()) {
        loop_.timers().arm(late_timer_, until_ms);
        return;
    }
    answers_ = false;
    base::log_error(
        "a palier before this one did not answer within {} s: a decision may not hold for its last clients",
        kPatienceMs / 1000);
    const auto late = std::exchange(orders_, {});
    for (const auto& [number, order] : late)
        order.done();
}

void Predecessors::Predecessor::lose() {
    base::TimerWheel::disarm(late_timer_);
    if (channel_ >= 0) {
        loop_.unwatch(channel_);
        ::close(std::exchange(channel_, -1));
    }
    forget_loads();
    const auto orders = std::exchange(orders_, {});
    for (const auto& [number, order] : orders)
        order.done();
}

Predecessors::Predecessors(net::Loop& loop, Engine& engine) : loop_(loop), engine_(engine) {}

Predecessors::~Predecessors() = default;

void Predecessors::add(int channel) {
    all_.push_back(std::make_unique<Predecessor>(loop_, channel, engine_));
}

std::vector<int> Predecessors::channels() const {
    std::vector<int> channels;
    for (const auto& one : all_) {
        if (!one->gone()) channels.push_back(one->channel());
    }
    return channels;
}

void Predecessors::leave() {
    for (auto& one : std::exchange(all_, {})) {
        one->lose();
        loop_.defer_delete(std::move(one));
    }
}

/// All that are left. They live to the end of the turn, whatever is decided meanwhile.
std::vector<Predecessors::Predecessor*> Predecessors::left() {
    std::vector<Predecessor*> left;
    for (auto& one : std::exchange(all_, {})) {
        if (one->gone()) {
            loop_.defer_delete(std::move(one));
        } else {
            left.push_back(one.get());
            all_.push_back(std::move(one));
        }
    }
    return left;
}

void Predecessors::decide(const std::string& overlay, Done done) {
    const auto all = after_all(std::move(done));
    for (Predecessor* const one : left())
        one->decide(overlay, [all] {});
}

void Predecessors::close_connections(const std::string& server, bool tunnels, Done done) {
    const json what{{"server", server}, {"tunnels", tunnels}};
    const std::string text = what.dump(-1, ' ', false, json::error_handler_t::replace);
    const auto all = after_all(std::move(done));
    for (Predecessor* const one : left())
        one->order("close", text, [all] {});
}

}  // namespace palier::control
