#include "palier/control/estate.h"

#include "../pool/pool_fixture.h"
#include "catch.h"
#include "palier/pool/standing.h"

#include <nlohmann/json.hpp>

using namespace palier::control;
using palier::pool::Health;
using palier::pool::ServerState;
namespace test = palier::test;

namespace {

Estate a_rich_one() {
    Estate estate;
    estate.version = "1.2.3";
    estate.generation = 17;
    estate.ticket_keys = std::string("\x00\xff\x80 keys", 8);
    estate.overlay = R"({"entries": []})";
    estate.servers["web/front1"] = {.health = Health::up, .since_ms = 12, .slow_start_from_ms = 34};
    estate.servers["web/front2"] = {.health = Health::down, .since_ms = 56, .slow_start_from_ms = 0};
    estate.held_by_passive = {"web"};
    estate.listeners = {{"0.0.0.0:80", {10, 11}}, {"[::]:443", {12}}};
    estate.admin_address = "127.0.0.1:9901";
    estate.admin = 13;
    estate.forwarder = 14;
    estate.predecessors = {15, 16};
    return estate;
}

std::string without(std::string_view bytes, const char* key) {
    auto value = nlohmann::json::from_cbor(bytes);
    value.erase(key);
    std::string text;
    nlohmann::json::to_cbor(value, text);
    return text;
}

std::string with(std::string_view bytes, const char* key, const nlohmann::json& changed) {
    auto value = nlohmann::json::from_cbor(bytes);
    value[key] = changed;
    std::string text;
    nlohmann::json::to_cbor(value, text);
    return text;
}

}  // namespace

TEST_CASE("an estate arrives as it was given, whatever the descriptors' numbers have become") {
    const Estate given = a_rich_one();
    CHECK(given.descriptors() == std::vector{13, 14, 15, 16, 10, 11, 12});
    const auto taken = Estate::decoded(given.encoded(), std::vector{3, 4, 5, 6, 7, 8, 9});
    REQUIRE(taken);
    CHECK(taken->version == given.version);
    CHECK(taken->generation == given.generation);
    CHECK(taken->ticket_keys == given.ticket_keys);
    CHECK(taken->overlay == given.overlay);
    CHECK(taken->servers == given.servers);
    CHECK(taken->held_by_passive == given.held_by_passive);
    CHECK(taken->admin_address == given.admin_address);
    CHECK(taken->admin == 3);
    CHECK(taken->forwarder == 4);
    CHECK(taken->predecessors == std::vector{5, 6});
    REQUIRE(taken->listeners.size() == 2);
    CHECK(taken->listeners[0].key == "0.0.0.0:80");
    CHECK(taken->listeners[0].descriptors == std::vector{7, 8});
    CHECK(taken->listeners[1].descriptors == std::vector{9});
}

TEST_CASE("an estate without an admin address, listeners or keys arrives too") {
    Estate given;
    given.version = "1.2.3";
    const auto taken = Estate::decoded(given.encoded(), {});
    REQUIRE(taken);
    CHECK(taken->admin == -1);
    CHECK(taken->forwarder == -1);
    CHECK(taken->predecessors.empty());
    CHECK(taken->descriptors().empty());
}

TEST_CASE("too few descriptors, or too many, are no estate") {
    const std::string bytes = a_rich_one().encoded();
    for (const std::size_t count : {0U, 1U, 2U, 4U, 6U, 8U}) {
        CAPTURE(count);
        CHECK_FALSE(Estate::decoded(bytes, std::vector<int>(count, 3)));
    }
    CHECK_FALSE(Estate::decoded(with(bytes, "listeners", {{{"key", "x"}, {"descriptors", -1}}}),
                                std::vector{3, 4, 5}));
}

TEST_CASE("another version's estate: unknown keys are passed over, missing ones mean what they did before") {
    const std::string bytes = a_rich_one().encoded();
    const std::vector came{3, 4, 5, 6, 7, 8, 9};
    CHECK(Estate::decoded(with(bytes, "colour", "red"), came));
    for (const char* key :
         {"generation", "ticket_keys", "overlay", "servers", "held_by_passive", "admin_address"}) {
        CAPTURE(key);
        CHECK(Estate::decoded(without(bytes, key), came));
    }
    const auto taken = Estate::decoded(
        with(bytes, "servers", {{"a", {{"health", "dreaming"}}}, {"b", {{"health", "up"}}}}), came);
    REQUIRE(taken);
    CHECK(taken->servers.size() == 1);
    CHECK(taken->servers.contains("b"));
}

TEST_CASE("what is no estate is refused in words, wherever it is cut") {
    const std::string bytes = a_rich_one().encoded();
    const std::vector came{3, 4, 5, 6, 7, 8, 9};
    for (std::size_t length = 0; length < bytes.size(); ++length)
        CHECK_FALSE(Estate::decoded(std::string_view(bytes).substr(0, length), came));
    CHECK_FALSE(Estate::decoded("garbage", came));
    CHECK_FALSE(Estate::decoded(with(bytes, "version", 3), came));
    CHECK_FALSE(Estate::decoded(with(bytes, "ticket_keys", "text"), came));
    CHECK_FALSE(Estate::decoded(with(bytes, "servers", "none"), came));
    CHECK_FALSE(Estate::decoded(with(bytes, "servers", {{"a", 3}}), came));
    CHECK_FALSE(Estate::decoded(with(bytes, "listeners", 3), came));
}

TEST_CASE("servers and pools go on where they stood, each once, and what is new begins as ever") {
    auto config = test::pool_of({{.name = "a", .slow_start_ms = 1'000}, {.name = "gone"}});
    config.failback = palier::config::Failback::manual;
    const test::SharedPool before(config);
    before.snapshot->state->held_by_passive.store(before.snapshot->era);
    ServerState& a = *before.snapshot->servers[0].state;
    a.health.store(Health::falling);
    a.health_since_ms.store(17);
    a.slow_start_from_ms.store(18);
    Estate estate;
    palier::proxy::Snapshot snapshot;
    snapshot.pools = {before.snapshot};
    note_standing(snapshot, estate);

    config.servers[1].name = "new";
    const test::SharedPool after(config);
    snapshot.pools = {after.snapshot};
    restore_standing(estate, snapshot);
    CHECK(palier::pool::held_by_passive(*after.snapshot));
    const auto& servers = after.snapshot->servers;
    CHECK(servers[0].state->former_health.load() == Health::falling);
    CHECK(servers[0].state->health_since_ms.load() == 17);
    CHECK(servers[0].state->slow_start_from_ms.load() == 18);
    CHECK(servers[1].state->former_health.load() == Health::unprobed);
    CHECK(estate.servers.size() == 1);
    CHECK(estate.servers.contains("web/gone"));

    servers[0].state->slow_start_from_ms.store(99);
    restore_standing(estate, snapshot);
    CHECK(servers[0].state->slow_start_from_ms.load() == 99);
}
