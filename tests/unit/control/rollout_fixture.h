// What the tests of roll-outs stand on: an engine whose servers do as a test tells them, a client's replies, and hooks
// that leave a trace.
#pragma once

#include "catch.h"
#include "control_fixture.h"
#include "net/loop_fixture.h"
#include "palier/base/log.h"
#include "palier/control/command.h"
#include "palier/control/engine.h"
#include "palier/control/events.h"
#include "palier/control/overlay.h"
#include "palier/control/rollout.h"
#include "palier/control/snapshot_builder.h"
#include "palier/net/mailbox.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace palier::test {

/// A pool "web" of servers whose workers know of each snapshot a turn later.
class FakeEngine final : public control::Engine {
  public:
    FakeEngine(net::Loop& loop, const control::Overlay& overlay, config::Config config)
        : loop_(loop),
          overlay_(overlay),
          mailbox_(loop),
          config_(std::make_shared<const config::Config>(std::move(config))) {
        publish();
    }
    ~FakeEngine() { mailbox_.close(); }

    [[nodiscard]] const proxy::Snapshot& snapshot() const override { return *builder_.current(); }
    void republish(InForce in_force) override {
        publish();
        mailbox_.post([this, in_force = std::move(in_force)] {
            if (meanwhile) meanwhile();
            in_force();
        });
    }
    void close_connections(std::shared_ptr<pool::ServerState> server, bool tunnels, InForce done) override {
        closed.emplace_back(server->server, tunnels);
        mailbox_.post([done = std::move(done)] { done(); });
    }
    void ask_traffic(std::function<void(const control::Traffic&)> answer) override { answer({}); }
    [[nodiscard]] std::string_view health_reason(const pool::ServerState&) const override { return reason; }
    void doubt_health(const pool::ServerState& server) override {
        doubted.push_back(server.server);
        auto& state = const_cast<pool::ServerState&>(server);
        state.health = pool::Health::down;
        state.held_down = true;
        if (heals)
            mailbox_.post([&state] {
                state.health = pool::Health::up;
                state.held_down = false;
            });
    }
    void drain_self(config::Duration, Outcome) override {}
    void enable_self(Outcome) override {}
    [[nodiscard]] bool self_drained() const override { return false; }
    void stop() override {}
    [[nodiscard]] unsigned workers() const override { return 1; }
    [[nodiscard]] control::MemoryUse memory() const override { return {.used = 50, .limit = 100, .pressure = "none"}; }
    [[nodiscard]] std::uint64_t started_ms() const override { return 0; }

    void configure(config::Config config) {
        config_ = std::make_shared<const config::Config>(std::move(config));
        publish();
    }
    [[nodiscard]] const config::Config& config() const { return *config_; }

    [[nodiscard]] const pool::Server& server(const std::string& name) const {
        const auto& servers = snapshot().pools.front()->servers;
        const auto found = std::ranges::find(servers, name, &pool::Server::name);
        REQUIRE(found != servers.end());
        return *found;
    }
    [[nodiscard]] pool::Admin admin(const std::string& name) const { return server(name).admin; }
    [[nodiscard]] pool::WorkerCounters& counters(const std::string& name) const {
        return server(name).state->counters[0];
    }
    void set_in_flight(const std::string& name, std::uint32_t count) const {
        counters(name).exchanges = counters(name).exchanges - counters(name).in_flight + count;
        counters(name).in_flight = count;
    }

    std::vector<std::pair<std::string, bool>> closed;  // and whether its tunnels too
    std::vector<std::string> doubted;
    std::function<void()> meanwhile;  // happens between an order to publish and its being in force
    bool heals = true;
    std::string reason = "HTTP 503, expected 200-399";

  private:
    void publish() { static_cast<void>(builder_.build(config_, {}, overlay_.decisions())); }

    net::Loop& loop_;
    const control::Overlay& overlay_;
    net::Mailbox mailbox_;
    std::shared_ptr<const config::Config> config_;
    control::SnapshotBuilder builder_{1};
};

/// What a client got for one request.
struct Told {
    std::vector<nlohmann::json> events;
    std::optional<nlohmann::json> end;
    bool well = false;
    std::string error;
    std::function<void()> gone;

    [[nodiscard]] std::vector<std::string> steps(const std::string& server) const {
        std::vector<std::string> names;
        for (const auto& event : events) {
            if (event["event"] != "rollout" || event["server"] != server) continue;
            if (names.empty() || names.back() != event["step"]) names.push_back(event["step"]);
        }
        return names;
    }
    [[nodiscard]] std::string detail(const std::string& server, const std::string& step) const {
        for (const auto& event : events) {
            if (event["event"] == "rollout" && event["server"] == server && event["step"] == step)
                return event["detail"];
        }
        return "no such step";
    }
    [[nodiscard]] std::vector<std::string> output() const {
        std::vector<std::string> lines;
        for (const auto& event : events) {
            if (event["event"] == "output")
                lines.push_back(event["server"].get<std::string>() + ": " + event["line"].get<std::string>());
        }
        return lines;
    }
};

class FakeReply final : public control::Reply {
  public:
    explicit FakeReply(std::shared_ptr<Told> told) : told_(std::move(told)) {}

    void event(nlohmann::json event) override { told_->events.push_back(std::move(event)); }
    void done(nlohmann::json result) override { end(true, "", std::move(result)); }
    void fail(std::string_view error, nlohmann::json more) override { end(false, error, std::move(more)); }
    [[nodiscard]] bool open() const override { return true; }
    void on_gone(std::function<void()> gone) override { told_->gone = std::move(gone); }
    void attach(int) override {}

  private:
    void end(bool well, std::string_view error, nlohmann::json result) {
        REQUIRE_FALSE(told_->end);
        REQUIRE_FALSE(result.contains("done"));  // the protocol's own key
        told_->end = std::move(result);
        told_->well = well;
        told_->error = error;
    }

    std::shared_ptr<Told> told_;
};

inline config::Config three_fronts() {
    config::Config config;
    config::PoolConfig pool;
    pool.name = "web";
    for (const std::string name : {"front1", "front2", "front3"}) {
        config::ServerConfig server;
        server.name = name;
        server.host = "127.0.0.1";
        server.port = static_cast<std::uint16_t>(8001 + pool.servers.size());
        server.node = "srv" + name.substr(5);
        pool.servers.push_back(server);
    }
    config.pools.push_back(pool);
    return config;
}

/// As three_fronts(), but of a pool "api".
inline config::Config another_pool() {
    config::Config config = three_fronts();
    config.pools.front().name = "api";
    return config;
}

struct RolloutFixture {
    explicit RolloutFixture(config::Config config = three_fronts())
        : overlay(loop, folder.path("state.json"), [] {}),
          events(loop),
          engine(loop, overlay, std::move(config)) {
        base::log_start(base::LogLevel::error);
        begin_anew();
    }

    /// As if palier had been killed and started again.
    void begin_anew() {
        rollouts.reset();
        rollouts = std::make_unique<control::Rollouts>(engine, overlay, events, loop, 200);
        commands = std::make_unique<control::CommandTable>();
        rollouts->add_commands(*commands);
    }

    using Options = std::map<std::string, std::string, std::less<>>;
    std::shared_ptr<Told> ask(std::vector<std::string> words, Options options = {}) {
        auto told = std::make_shared<Told>();
        commands->run({"rollout", std::move(words), std::move(options), {1000, 4711}},
                      std::make_shared<FakeReply>(told));
        return told;
    }
    /// A roll-out of web: the hook is a script, and there is no soak, unless told otherwise.
    std::shared_ptr<Told> roll_out(const std::string& script, Options options = {}) {
        options.insert({{"shell", "true"}, {"soak", "0s"}, {"run", script}});
        return ask({"web"}, std::move(options));
    }

    template <typename Condition>
    [[nodiscard]] bool until(Condition done) {
        return run_until(loop, done);
    }
    [[nodiscard]] bool ended(const std::shared_ptr<Told>& told) {
        return until([&] { return told->end.has_value(); });
    }
    [[nodiscard]] bool at(const std::shared_ptr<Told>& told, const std::string& server,
                          const std::string& step) {
        return until([&] { return told->detail(server, step) != "no such step"; });
    }
    [[nodiscard]] std::string state() { return rollouts->status("web")["state"]; }

    config::Folder folder;
    net::Loop loop;
    control::Overlay overlay;
    control::Events events;
    FakeEngine engine;
    std::unique_ptr<control::Rollouts> rollouts;
    std::unique_ptr<control::CommandTable> commands;
};

}  // namespace palier::test
