// What the tests of commands stand on: an engine without workers, and replies that remember.
#pragma once

#include "config/load_fixture.h"
#include "net/loop_fixture.h"
#include "palier/control/command_line.h"
#include "palier/control/commands.h"
#include "palier/control/snapshot_builder.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace palier::control {

/// Publishes at once; what it owes its callers may be held back, as by workers that are busy.
class FakeEngine final : public Engine {
  public:
    FakeEngine(std::shared_ptr<const config::Config> its_config, const Overlay& overlay)
        : config(std::move(its_config)), overlay_(overlay) {
        (void)builder.prepare(*config);
        build();
    }

    void build() { (void)builder.build(config, addresses, overlay_.decisions()); }
    /// Pays what was held back.
    void release() {
        held = false;
        for (const auto& due : std::exchange(owed, {}))
            due();
    }

    [[nodiscard]] const proxy::Snapshot& snapshot() const override { return *builder.current(); }
    void republish(InForce in_force) override {
        ++publications;
        build();
        owe(std::move(in_force));
    }
    void close_connections(std::shared_ptr<pool::ServerState> server, bool tunnels, InForce done) override {
        closed.push_back(server->name + (tunnels ? " with tunnels" : ""));
        owe(std::move(done));
    }
    void ask_traffic(std::function<void(const Traffic&)> answer) override { answer({7, 3, 1}); }
    [[nodiscard]] std::string_view health_reason(const pool::ServerState& /*server*/) const override {
        return "as it likes";
    }
    void doubt_health(const pool::ServerState& /*server*/) override {}
    void drain_self(config::Duration wait, Outcome done) override {
        drained = self_error.empty();
        grace = wait;
        done(self_error);
    }
    void enable_self(Outcome done) override {
        drained = !self_error.empty();
        done(self_error);
    }
    [[nodiscard]] bool self_drained() const override { return drained; }
    void stop() override { stopped = true; }
    [[nodiscard]] unsigned workers() const override { return 2; }
    [[nodiscard]] MemoryUse memory() const override { return {.used = 50, .limit = 100, .pressure = "none"}; }
    [[nodiscard]] std::uint64_t started_ms() const override { return base::monotonic_ms() - 5000; }

    std::shared_ptr<const config::Config> config;
    pool::Addresses addresses;
    SnapshotBuilder builder{1};
    bool held = false;
    std::vector<InForce> owed;
    int publications = 0;
    std::vector<std::string> closed;
    bool drained = false;
    config::Duration grace{0};
    std::string self_error;
    bool stopped = false;

  private:
    void owe(InForce due) {
        if (!held) return due();
        owed.push_back(std::move(due));
    }

    const Overlay& overlay_;
};

class FakeReply final : public Reply {
  public:
    using Reply::done;
    using Reply::fail;
    void event(nlohmann::json event) override { events.push_back(std::move(event)); }
    void done(nlohmann::json result) override { end(std::move(result), true); }
    void fail(std::string_view error, nlohmann::json more) override {
        more["error"] = error;
        end(std::move(more), false);
    }
    [[nodiscard]] bool open() const override { return !gone; }
    void on_gone(std::function<void()> /*callback*/) override {}
    void attach(int /*descriptor*/) override {}

    std::vector<nlohmann::json> events;
    nlohmann::json last;  // null until the end
    bool gone = false;

  private:
    void end(nlohmann::json line, bool ok) {
        CHECK(last.is_null());
        line["ok"] = ok;
        last = std::move(line);
    }
};

inline const std::string kSite = R"(
[[listener]]
name = "http"
address = "127.0.0.1:0"
[[route]]
pool = "web"
[[pool]]
name = "web"
failback = "manual"
[[pool.server]]
name = "front1"
address = "127.0.0.1:8081"
slow_start = "10s"
[[pool.server]]
name = "front2"
address = "127.0.0.1:8082"
weight = 50
[[pool.server]]
name = "spare"
address = "127.0.0.1:8083"
role = "passive"
[[pool]]
name = "shop"
[[pool.server]]
name = "till"
address = "till.example:80"
[[pool.server]]
name = "till2"
address = "127.0.0.1:8084"
)";

/// Commands on a fake engine.
struct Office {
    explicit Office(const std::string& site = kSite, const std::string& state_file = "")
        : overlay(loop, state_file, [this] { engine.build(); }),
          engine(std::make_shared<const config::Config>(config_in(site)), overlay) {
        add_commands(commands, {.loop = loop,
                                .engine = engine,
                                .overlay = overlay,
                                .events = events,
                                .certificates = certificates,
                                .readiness = readiness,
                                .rollouts = rollouts,
                                .config_file = "/etc/palier/palier.toml"});
    }

    static config::Config config_in(const std::string& site) {
        auto loaded = config::load_text(site, "t", "");
        REQUIRE(loaded);
        return *loaded;
    }

    std::shared_ptr<FakeReply> start(const std::string& line) {
        auto request = parse_line(line);
        REQUIRE(request);
        request->peer = {.uid = 1000, .pid = 4711};
        auto reply = std::make_shared<FakeReply>();
        commands.run(*request, reply);
        return reply;
    }
    /// The last line of a command that ends at once.
    nlohmann::json run(const std::string& line) {
        const auto reply = start(line);
        INFO(line);
        CHECK_FALSE(reply->last.is_null());
        return reply->last;
    }
    nlohmann::json done(const std::string& line) {
        nlohmann::json last = run(line);
        INFO(line << ": " << last.dump());
        CHECK(last.value("ok", false));
        return last;
    }
    std::string error(const std::string& line) {
        const nlohmann::json last = run(line);
        INFO(line << ": " << last.dump());
        CHECK_FALSE(last.value("ok", true));
        return last.value("error", "");
    }
    [[nodiscard]] const pool::Server& server(std::size_t pool, std::size_t index) const {
        return engine.snapshot().pools[pool]->servers[index];
    }

    net::Loop loop;
    Overlay overlay;
    FakeEngine engine;
    Events events{loop};
    CertificateWatcher certificates{loop};
    Readiness readiness{engine.builder};
    Rollouts rollouts{engine, overlay, events, loop};
    CommandTable commands;
};

}  // namespace palier::control
