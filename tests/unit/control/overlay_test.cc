#include "palier/control/overlay.h"

#include "captured_descriptor.h"
#include "config/load_fixture.h"
#include "net/loop_fixture.h"
#include "palier/base/log.h"

#include <nlohmann/json.hpp>

namespace palier::control {
namespace {

using config::Folder;
using pool::Admin;
using test::CapturedDescriptor;

constexpr int kStderr = 2;

Stamp stamp(const std::string& by = "anna") {
    return {.uid = 1, .pid = 2, .by = by, .reason = "", .at_ms = 1000, .until_ms = std::nullopt};
}

/// One that ends in `ms` from now.
Stamp ending(std::int64_t ms) {
    Stamp stamp;
    stamp.at_ms = static_cast<std::int64_t>(base::monotonic_ms()) + base::wall_offset_ms();
    stamp.until_ms = stamp.at_ms + ms;
    return stamp;
}

/// Overlays that follow one another on one file.
struct Desk {
    Desk() : file(folder.path("state.json")) {
        base::log_start(base::LogLevel::info);
        open();
    }

    void open() {
        overlay.reset();
        overlay = std::make_unique<Overlay>(loop, file, [this] { ++changes; });
        overlay->load();
    }
    [[nodiscard]] Admin admin(const std::string& pool, const std::string& server) const {
        const auto found = overlay->decisions().find(pool);
        if (found == overlay->decisions().end()) return Admin::enabled;
        const auto its = found->second.servers.find(server);
        return its == found->second.servers.end() ? Admin::enabled : its->second.admin;
    }
    [[nodiscard]] std::size_t broken_files() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
            count += entry.path().filename().string().starts_with("state.json.broken-20") ? 1 : 0;
        return count;
    }

    Folder folder;
    std::string file;
    net::Loop loop;
    int changes = 0;
    std::unique_ptr<Overlay> overlay;
};

TEST_CASE("every change is in the file before it is acknowledged, and holds for the next palier") {
    Desk desk;
    CHECK(desk.overlay->decisions().empty());
    CHECK(desk.overlay->set_admin("web", "front1", Admin::drained, stamp()).empty());
    CHECK(desk.overlay->set_weight("web", "front2", 5, stamp()).empty());
    CHECK(desk.overlay->set_only("shop", "front3", stamp()).empty());
    CHECK(desk.overlay->set_maintenance("office", true, stamp()).empty());
    CHECK(desk.overlay->set_rollout("web", {{"step", "soak"}}).empty());
    const pool::Decisions decided = desk.overlay->decisions();
    desk.open();
    CHECK(desk.overlay->decisions() == decided);
    CHECK(decided.at("web").servers.at("front1").admin == Admin::drained);
    CHECK(decided.at("web").servers.at("front2").weight == 5);
    CHECK(decided.at("shop").only == "front3");
    CHECK(decided.at("office").maintenance);
    CHECK(desk.overlay->rollout("web") == nlohmann::json{{"step", "soak"}});
    CHECK(desk.changes == 0);
}

TEST_CASE("what is taken back leaves nothing") {
    Desk desk;
    const std::string empty = desk.overlay->exported();
    (void)desk.overlay->set_admin("web", "front1", Admin::disabled, stamp());
    (void)desk.overlay->set_weight("web", "front1", 5, stamp());
    CHECK(desk.overlay->set_admin("web", "front1", Admin::enabled, stamp()).empty());
    CHECK(desk.overlay->decisions().at("web").servers.at("front1").weight == 5);  // stays
    (void)desk.overlay->set_weight("web", "front1", std::nullopt, stamp());
    (void)desk.overlay->set_only("web", "front1", stamp());
    (void)desk.overlay->set_only("web", "", stamp());
    (void)desk.overlay->set_maintenance("web", true, stamp());
    (void)desk.overlay->set_maintenance("web", false, stamp());
    (void)desk.overlay->set_rollout("web", {{"step", "drain"}});
    (void)desk.overlay->set_rollout("web", nullptr);
    CHECK(desk.overlay->decisions().empty());
    CHECK(desk.overlay->exported() == empty);
    desk.open();
    CHECK(desk.overlay->exported() == empty);
}

TEST_CASE("the last change wins, and its stamp is the one that is told") {
    Desk desk;
    (void)desk.overlay->set_admin("web", "front1", Admin::drained, stamp("anna"));
    (void)desk.overlay->set_admin("web", "front1", Admin::disabled, stamp("ben"));
    (void)desk.overlay->set_weight("web", "front1", 7, stamp("eve"));
    (void)desk.overlay->set_only("web", "front2", stamp("eve"));
    (void)desk.overlay->set_maintenance("web", true, stamp("ben"));
    const auto of_server = desk.overlay->entries("web", "front1");
    REQUIRE(of_server.size() == 2);
    CHECK(of_server[0].what == "disabled");
    CHECK(of_server[0].stamp == stamp("ben"));
    CHECK(of_server[1].what == "weight 7");
    const auto of_pool = desk.overlay->entries("web");
    REQUIRE(of_pool.size() == 2);
    CHECK(of_pool[0].what == "only front2");
    CHECK(of_pool[1].what == "maintenance");
    CHECK(desk.overlay->entries("web", "front2").empty());
    CHECK(desk.overlay->entries("none").empty());
}

TEST_CASE("an entry ends when its time is up, once, and the file knows") {
    Desk desk;
    std::vector<std::string> ended;
    desk.overlay->on_end([&](const Ended& one) {
        CHECK(desk.admin("web", "front1") == Admin::enabled);  // by then
        ended.push_back(one.pool + "/" + one.server + " " + one.entry.what);
    });
    (void)desk.overlay->set_admin("web", "front1", Admin::drained, ending(60));
    (void)desk.overlay->set_weight("web", "front1", 3, stamp());
    (void)desk.overlay->set_maintenance("web", true, ending(3'600'000));
    CHECK(desk.admin("web", "front1") == Admin::drained);
    REQUIRE(test::run_until(desk.loop, [&] { return desk.changes > 0; }));
    CHECK(desk.changes == 1);
    CHECK(ended == std::vector<std::string>{"web/front1 drained"});
    CHECK(desk.overlay->decisions().at("web").servers.at("front1").weight == 3);
    CHECK(desk.overlay->decisions().at("web").maintenance);
    desk.open();
    CHECK(desk.overlay->entries("web", "front1").size() == 1);
}

TEST_CASE("an entry whose time was up while no palier ran does not hold") {
    Desk desk;
    (void)desk.overlay->set_admin("web", "front1", Admin::drained, ending(-1));
    (void)desk.overlay->set_admin("web", "front2", Admin::drained, ending(3'600'000));
    desk.overlay.reset();
    const CapturedDescriptor log(kStderr);
    desk.open();
    CHECK(desk.admin("web", "front1") == Admin::enabled);
    CHECK(desk.admin("web", "front2") == Admin::drained);
    CHECK(log.text().find("server web/front1: no longer drained: its time was up") != std::string::npos);
    CHECK(log.text().find("server web/front2: drained since ") != std::string::npos);
}

TEST_CASE("a file that makes no sense is set aside with a warning, and nothing holds") {
    for (const std::string& text :
         {std::string("{\"version\":1,\"pools\":{"), std::string("{\"version\":9}"), std::string(),
          std::string("\0\0\0\0", 4), std::string((std::size_t{16} << 20) + 1, ' ')}) {
        Desk desk;
        desk.folder.write("state.json", text);
        const CapturedDescriptor log(kStderr);
        desk.open();
        CHECK(log.text().find("warning state_file " + desk.file + " cannot be used: ") != std::string::npos);
        CHECK(log.text().find("; it is now " + desk.file + ".broken-") != std::string::npos);
        CHECK(desk.overlay->decisions().empty());
        CHECK(desk.broken_files() == 1);
        CHECK(desk.overlay->set_admin("web", "front1", Admin::drained, stamp()).empty());
        desk.open();
        CHECK(desk.admin("web", "front1") == Admin::drained);
    }
}

TEST_CASE("what cannot be kept is in force all the same, and kept as soon as it can be") {
    Desk desk;
    desk.file = desk.folder.path("later/state.json");
    const CapturedDescriptor log(kStderr);
    desk.open();
    const std::string folder = desk.folder.path("later");
    CHECK(log.text().find("warning state_file: " + folder +
                          ": No such file or directory; what operators change will not outlive palier") !=
          std::string::npos);
    const std::string why = desk.overlay->set_admin("web", "front1", Admin::drained, stamp());
    CHECK(why.find("No such file or directory") != std::string::npos);
    CHECK(desk.admin("web", "front1") == Admin::drained);
    CHECK(log.text().find("warning state_file: " + folder + "/state.json.new-") != std::string::npos);

    std::filesystem::create_directory(folder);
    CHECK(desk.overlay->set_weight("web", "front2", 1, stamp()).empty());
    CHECK(log.text().find("is kept again") != std::string::npos);
    desk.open();
    CHECK(desk.admin("web", "front1") == Admin::drained);
}

TEST_CASE("without a file nothing is kept, and nothing is wrong with that") {
    Desk desk;
    const CapturedDescriptor log(kStderr);
    desk.file.clear();
    desk.open();
    CHECK(desk.overlay->set_admin("web", "front1", Admin::drained, stamp()).empty());
    CHECK(desk.admin("web", "front1") == Admin::drained);
    desk.open();
    CHECK(desk.overlay->decisions().empty());
    CHECK(log.text().empty());
}

TEST_CASE("what names nothing in the configuration is kept aside, with one warning until it returns") {
    Desk desk;
    (void)desk.overlay->set_admin("rest", "a", Admin::drained, stamp());
    (void)desk.overlay->set_admin("rest", "gone", Admin::drained, stamp());
    (void)desk.overlay->set_maintenance("away", true, stamp());
    (void)desk.overlay->set_only("rest", "gone2", stamp());
    (void)desk.overlay->set_rollout("unknown", {{"step", "drain"}});
    const config::Config config = config::config_of("");
    config::Config wider = config;
    wider.pools[0].servers.emplace_back().name = "gone";
    using Names = std::vector<std::pair<std::string, std::string>>;
    CHECK(desk.overlay->aside(config) == Names{{"away", ""}, {"rest", ""}, {"rest", "gone"}});
    const auto warnings = [&](const config::Config& under) {
        const CapturedDescriptor log(kStderr);
        desk.overlay->check_against(under);
        const std::string text = log.text();
        return std::ranges::count(text, '\n');
    };
    CHECK(warnings(config) == 3);
    CHECK(warnings(config) == 0);
    CHECK(warnings(wider) == 0);
    CHECK(warnings(config) == 1);
    CHECK(desk.admin("rest", "gone") == Admin::drained);
}

TEST_CASE("another palier takes over what this one knows, and this one leaves the file alone") {
    Desk desk;
    (void)desk.overlay->set_admin("web", "front1", Admin::drained, ending(60));
    (void)desk.overlay->set_maintenance("shop", true, stamp());
    net::Loop loop;
    int changes = 0;
    Overlay next(loop, desk.file, [&changes] { ++changes; });
    (void)next.set_only("lost", "x", stamp());
    REQUIRE(next.import(desk.overlay->exported()));
    CHECK(next.decisions() == desk.overlay->decisions());
    desk.overlay->let_go();
    CHECK(next.set_admin("web", "front2", Admin::disabled, stamp()).empty());
    CHECK(desk.overlay->set_admin("web", "front3", Admin::disabled, stamp()) ==
          "another palier keeps the state by now");
    CHECK(desk.admin("web", "front3") == Admin::disabled);
    REQUIRE(test::run_until(loop, [&] { return changes > 0; }));  // an end that was imported
    desk.open();
    CHECK(desk.overlay->decisions() == next.decisions());
    CHECK_FALSE(desk.overlay->decisions().contains("lost"));
}

TEST_CASE("what is imported is read as strictly as the file") {
    Desk desk;
    (void)desk.overlay->set_admin("web", "front1", Admin::drained, stamp());
    CHECK_FALSE(desk.overlay->import("{\"version\":2}"));
    CHECK_FALSE(desk.overlay->import("nonsense"));
    CHECK(desk.admin("web", "front1") == Admin::drained);
}

}  // namespace
}  // namespace palier::control
