#include "catch.h"
#include "palier/admin/page.h"

namespace palier::admin {
namespace {

struct Health {
    Health() {
        auto config = std::make_shared<config::Config>();
        for (const std::string name : {"web", "office"}) {
            config->ready_when.push_back(config->pools.size());
            config::PoolConfig& pool = config->pools.emplace_back();
            pool.name = name;
            config::ServerConfig& server = pool.servers.emplace_back();
            server.name = "a";
            server.host = "127.0.0.1";
            server.port = 80;
        }
        snapshot = builder.build(config, {});
    }
    [[nodiscard]] Answer ask(std::string_view path) const {
        for (const Page& page : pages) {
            if (page.path == path) return page.answer();
        }
        return {.status = 404, .body = {}};
    }
    void hold_down(std::size_t pool) const { snapshot->pools[pool]->servers[0].state->held_down = true; }

    control::SnapshotBuilder builder{1};
    std::shared_ptr<const proxy::Snapshot> snapshot;
    control::Readiness readiness{builder};
    std::vector<Page> pages = health_pages(readiness);
};

TEST_CASE("/live is 200 whatever the readiness") {
    Health health;
    CHECK(health.ask("/live").status == 200);
    CHECK(health.ask("/live").body == "live\n");
    health.readiness.stops();
    CHECK(health.ask("/live").status == 200);
}

TEST_CASE("/ready is 200, or 503 with one reason a line") {
    Health health;
    CHECK(health.ask("/ready").status == 503);
    CHECK(health.ask("/ready").body == "starting\n");
    health.readiness.serves();
    CHECK(health.ask("/ready").status == 200);
    CHECK(health.ask("/ready").body == "ready\n");
    health.hold_down(0);
    health.hold_down(1);
    CHECK(health.ask("/ready").status == 503);
    CHECK(health.ask("/ready").body == "pool web has no usable server\npool office has no usable server\n");
    health.readiness.stops();
    CHECK(health.ask("/ready").body == "stopping\n");
}

}  // namespace
}  // namespace palier::admin
