// An exchange between a client that is played here and servers that accept by hand: what a reload and maintenance make
// of it.
#include "palier/proxy/exchange.h"

#include "../net/loop_fixture.h"
#include "catch.h"
#include "palier/net/listener.h"
#include "palier/proxy/client_stream.h"
#include "palier/proxy/worker_core.h"

#include <memory>
#include <string>

using namespace palier;
using namespace palier::proxy;

namespace {

const ListenerFacts kListener{.index = 0, .name = "http", .port = "80", .scheme = "http"};

class PlayedClient final : public ClientStream {
  public:
    std::string answered;
    bool finished = false;

    [[nodiscard]] const ListenerFacts& listener() const override { return kListener; }
    [[nodiscard]] const base::SocketAddress& peer() const override { return peer_; }
    [[nodiscard]] std::string_view subject() const override { return {}; }
    [[nodiscard]] std::string_view protocol() const override { return "HTTP/1.1"; }
    std::size_t answer(base::Buffer& message, bool) override {
        answered = message.view();
        message.clear();
        return answered.size();
    }
    std::size_t inform(const http::ResponseHead&) override { return 0; }
    [[nodiscard]] ResponseTerms start_response(const http::ResponseHead&, bool, bool) override { return {}; }
    void drop_response() override {}
    std::size_t write_body(char*, char*, std::size_t, bool, std::string_view) override { return 0; }
    std::size_t start_tunnel(const http::ResponseHead&, std::string_view) override { return 0; }
    void write_tunnel(const char*, const char*) override {}
    void end_tunnel() override {}
    [[nodiscard]] bool blocked() const override { return false; }
    [[nodiscard]] Appetite appetite() const override { return {.first = 65'536, .most = 65'536}; }
    [[nodiscard]] bool takes_pipes() const override { return false; }
    std::size_t take_from(net::Pipe&) override { return 0; }
    void resume_body() override {}
    void finish_exchange(After) override { finished = true; }
    void cut() override {}

  private:
    base::SocketAddress peer_;
};

struct Front {
    [[nodiscard]] bool somebody_connects() const {
        const test::Descriptor connection(::accept(listening.get(), nullptr, nullptr));
        return connection.get() >= 0;
    }

    test::Descriptor listening{*net::listen_on(*base::SocketAddress::parse("127.0.0.1:0"), false)};
};

config::PoolConfig pool_at(const std::string& name, const Front& front) {
    config::PoolConfig pool;
    pool.name = name;
    config::ServerConfig& server = pool.servers.emplace_back();
    server.name = "a";
    server.host = "127.0.0.1";
    server.port = net::bound_address(front.listening.get()).port();
    return pool;
}

/// Every request goes to the first pool.
struct Site {
    [[nodiscard]] std::shared_ptr<const Snapshot> snapshot_of(std::vector<config::PoolConfig> pools,
                                                              const pool::PoolDecision& decision = {}) {
        auto config = std::make_shared<config::Config>();
        config->listeners.emplace_back();
        config->pools = std::move(pools);
        config->routes.emplace_back().action = config::ForwardAction{0};
        auto snapshot = std::make_shared<Snapshot>();
        snapshot->routers =
            std::make_shared<std::vector<Router>>(std::initializer_list<Router>{Router(*config, 0)});
        for (const config::PoolConfig& pool : config->pools)
            snapshot->pools.push_back(pool::make_pool_snapshot(pool, {}, states, &decision));
        snapshot->config = std::move(config);
        return snapshot;
    }
    void begin(WorkerCore& core, Exchange& exchange, PlayedClient& client, std::string_view accept = "*/*") {
        const std::string request =
            "GET / HTTP/1.1\r\nHost: shop\r\nAccept: " + std::string(accept) + "\r\n\r\n";
        REQUIRE(core.request_parser.parse(request, 0).state == http::HeadState::complete);
        const http::RequestHead& head = core.request_parser.head();
        exchange.begin(client, head, head.body, loop.now_us(), request.size());
    }

    net::Loop loop;
    pool::StateTable states{1};
    Front web;
    Front office;
};

}  // namespace

TEST_CASE("an exchange goes where its own configuration says, even if the next one came before it started") {
    Site site;
    WorkerCore core(site.loop, 0,
                    site.snapshot_of({pool_at("web", site.web), pool_at("office", site.office)}), nullptr);
    const std::weak_ptr<const pool::PoolSnapshot> web = core.snapshot->pools[0];
    PlayedClient client;
    auto exchange = core.take_exchange();
    site.begin(core, *exchange, client);
    core.publish(site.snapshot_of({pool_at("office", site.office)}));
    exchange->start();
    CHECK(test::run_until(site.loop, [&] { return site.web.somebody_connects(); }));
    CHECK_FALSE(site.office.somebody_connects());
    CHECK_FALSE(web.expired());

    exchange->on_client_gone(Termination::client_closed);
    CHECK(client.finished);
    core.retire(std::move(exchange));
    site.loop.run_once(0);
    core.end_turn();
    CHECK(web.expired());
}

TEST_CASE("an exchange that ends before it started holds no pool") {
    Site site;
    WorkerCore core(site.loop, 0, site.snapshot_of({pool_at("web", site.web)}), nullptr);
    const std::weak_ptr<const pool::PoolSnapshot> web = core.snapshot->pools[0];
    PlayedClient client;
    auto exchange = core.take_exchange();
    site.begin(core, *exchange, client);
    core.publish(site.snapshot_of({pool_at("office", site.office)}));
    site.loop.run_once(0);
    core.end_turn();
    CHECK_FALSE(web.expired());
    exchange->on_client_gone(Termination::client_closed);
    core.retire(std::move(exchange));
    core.end_turn();
    CHECK(web.expired());
    CHECK(core.exchanges == 0);
}

TEST_CASE("in maintenance every request is answered 503, with the pool's page or palier's words") {
    Site site;
    config::PoolConfig pool = pool_at("web", site.web);
    pool.maintenance.retry_after = config::Duration(90'500);
    pool::PoolDecision maintenance;
    maintenance.maintenance = true;
    WorkerCore core(site.loop, 0, site.snapshot_of({pool}), nullptr);
    const auto answer_to = [&](std::string_view accept) {
        PlayedClient client;
        auto exchange = core.take_exchange();
        site.begin(core, *exchange, client, accept);
        core.publish(site.snapshot_of({pool}, maintenance));
        exchange->start();
        CHECK(client.finished);
        core.retire(std::move(exchange));
        core.end_turn();
        CHECK_THAT(client.answered, Catch::StartsWith("HTTP/1.1 503 "));
        CHECK_THAT(client.answered, Catch::Contains("\r\nRetry-After: 91\r\n"));
        CHECK_THAT(client.answered, Catch::Contains("\r\nCache-Control: no-store\r\n"));
        CHECK_THAT(client.answered, !Catch::Contains("Connection: close"));
        return client.answered;
    };
    SECTION("palier's words") {
        CHECK_THAT(answer_to("text/html"), Catch::Contains("<p>The site is being worked on"));
        CHECK_THAT(answer_to("application/json"),
                   Catch::Contains("\"message\":\"The site is being worked on"));
    }
    SECTION("the pool's page") {
        pool.maintenance.page = "<h1>Back at noon</h1>";
        pool.maintenance.content_type = "text/html; charset=iso-8859-1";
        const std::string answer = answer_to("application/json");
        CHECK_THAT(answer, Catch::EndsWith("\r\n\r\n<h1>Back at noon</h1>"));
        CHECK_THAT(answer, Catch::Contains("Content-Type: text/html; charset=iso-8859-1\r\n"));
    }
    CHECK_FALSE(site.web.somebody_connects());
}
