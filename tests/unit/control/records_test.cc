#include "control/records.h"

#include "catch.h"

namespace palier::control {
namespace {

using nlohmann::json;

Stamp stamp(std::optional<std::int64_t> until_ms = std::nullopt) {
    return {.uid = 1, .pid = 2, .by = "anna", .reason = "why", .at_ms = 1000, .until_ms = until_ms};
}

/// One of everything.
Records whole() {
    Records records;
    PoolRecord& web = records["web"];
    web.only = {"front1", stamp()};
    web.maintenance = {true, stamp(5000)};
    web.rollout = {{"step", "soak"}, {"done", {"front1"}}};
    web.servers["front1"].weight = {0U, stamp()};
    web.servers["front2"].admin = {pool::Admin::drained, stamp(4000)};
    web.servers["front2"].weight = {65'535U, stamp()};
    records["db"].servers["a@b#\u00fc"].admin = {pool::Admin::disabled, stamp()};
    return records;
}

std::string fault_of(const std::string& text) {
    const auto records = parse_records(text);
    return records ? "none" : records.error().message;
}

TEST_CASE("records are read back as they were written") {
    const std::string text = text_of(whole());
    const auto back = parse_records(text);
    REQUIRE(back);
    CHECK(text_of(*back) == text);
    CHECK(decisions_of(*back) == decisions_of(whole()));
    CHECK(back->at("web").rollout == whole()["web"].rollout);
    CHECK(back->at("web").only->stamp == stamp());
    CHECK(back->at("web").servers.at("front2").admin->stamp == stamp(4000));
}

TEST_CASE("the file is for people too: a line for each value") {
    Records records;
    records["web"].maintenance = {true, stamp()};
    CHECK(text_of(records) == R"({
  "pools": {
    "web": {
      "maintenance": {
        "at": "1970-01-01T00:00:01.000Z",
        "by": "anna",
        "pid": 2,
        "reason": "why",
        "uid": 1,
        "until": null,
        "value": true
      }
    }
  },
  "version": 1
}
)");
}

TEST_CASE("decisions say what records say, and nothing where there is nothing") {
    const pool::Decisions decisions = decisions_of(whole());
    const pool::PoolDecision& web = decisions.at("web");
    CHECK(web.only == "front1");
    CHECK(web.maintenance);
    CHECK(web.servers.at("front1") == pool::ServerDecision{pool::Admin::enabled, 0U});
    CHECK(web.servers.at("front2") == pool::ServerDecision{pool::Admin::drained, 65'535U});
    CHECK(decisions.at("db").servers.at("a@b#\u00fc").admin == pool::Admin::disabled);

    Records rollout_only;
    rollout_only["web"].rollout = {{"step", "drain"}};
    CHECK(decisions_of(rollout_only).empty());
}

TEST_CASE("no cut of the file passes for a whole one") {
    const std::string text = text_of(whole());
    for (std::size_t size = 0; size + 2 < text.size(); ++size) {
        INFO(size);
        CHECK_FALSE(parse_records(std::string_view(text).substr(0, size)));
    }
    CHECK(parse_records(std::string_view(text).substr(0, text.size() - 1)));  // its last line's end
}

TEST_CASE("a byte that was flipped is noticed or changes a value, but nothing breaks") {
    const std::string text = text_of(whole());
    std::size_t refused = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
            std::string broken = text;
            broken[at] = static_cast<char>(broken[at] ^ flip);
            const auto records = parse_records(broken);
            if (!records) {
                ++refused;
            } else {
                CHECK(parse_records(text_of(*records)));
            }
        }
    }
    CHECK(refused > text.size());
}

TEST_CASE("what is no state file is refused with the reason") {
    CHECK(fault_of("") == "it is no JSON, or not all of it");
    CHECK(fault_of("null") == "it is no JSON, or not all of it");
    CHECK(fault_of(std::string("\0\xff\xfe", 3)) == "it is no JSON, or not all of it");
    CHECK(fault_of("{\"version\":1}{\"version\":1}") == "it is no JSON, or not all of it");
    CHECK(fault_of("{\"version\":1,\"pools\":{\"\xff\":{}}}") == "it is no JSON, or not all of it");
    CHECK(fault_of("[]") == "the file: it is no object");
    CHECK(fault_of("{}") == "it does not say its version");
    CHECK(fault_of("{\"version\":\"1\"}") == "it does not say its version");
    CHECK(fault_of("{\"version\":2}") == "its version is 2, and this palier knows 1");
    CHECK(fault_of("{\"version\":1}") == "none");
    CHECK(fault_of(std::string(kLongestState + 1, ' ')) == "it is longer than 16777216 bytes");
}

TEST_CASE("deep nesting costs no memory") {
    CHECK(fault_of(std::string(kLongestState, '[')) == "it is no JSON, or not all of it");
    std::string rollout;
    for (int i = 0; i < 1000; ++i)
        rollout += "{\"a\":";
    rollout += "1" + std::string(1000, '}');
    CHECK(fault_of("{\"version\":1,\"pools\":{\"web\":{\"rollout\":" + rollout + "}}}") ==
          "it is no JSON, or not all of it");
}

TEST_CASE("wrong types and values are told with their place") {
    const auto fault_with = [](const std::string& pointer, const json& value) {
        json root = json::parse(text_of(whole()));
        root[json::json_pointer(pointer)] = value;
        return fault_of(root.dump());
    };
    CHECK(fault_with("/pools", json::array()) == "\"pools\": it is no object");
    CHECK(fault_with("/pools/web", 1) == "pool web: it is no object");
    CHECK(fault_with("/pools/web/only", "front1") == "pool web, \"only\": it is no object");
    CHECK(fault_with("/pools/web/only/value", "") == "pool web, \"only\": its value is no name");
    CHECK(fault_with("/pools/web/only/value", true) == "pool web, \"only\": its value is no name");
    CHECK(fault_with("/pools/web/maintenance/value", false) ==
          "pool web, \"maintenance\": its value is not true");
    CHECK(fault_with("/pools/web/maintenance/until", 5) == "pool web, \"maintenance\": \"until\" is no time");
    CHECK(fault_with("/pools/web/rollout", 5) == "pool web, \"rollout\": it is no object");
    CHECK(fault_with("/pools/web/servers", "x") == "\"servers\": it is no object");
    CHECK(fault_with("/pools/web/servers/front1", {}) == "server front1: it is no object");
    CHECK(fault_with("/pools/web/servers/front1/weight/value", 65'536) ==
          "pool web, server front1, \"weight\": its value is no number from 0 to 65535");
    CHECK(fault_with("/pools/web/servers/front1/weight/value", -1) ==
          "pool web, server front1, \"weight\": its value is no number from 0 to 65535");
    CHECK(fault_with("/pools/web/servers/front2/admin/value", "enabled") ==
          "pool web, server front2, \"admin\": its value is neither \"drained\" nor \"disabled\"");
    CHECK(fault_with("/pools/web/servers/front2/admin/uid", {}) ==
          "pool web, server front2, \"admin\": \"uid\" is missing or no number");
}

TEST_CASE("names are what the configuration would take for one") {
    for (const std::string& name :
         {std::string("a b"), std::string("a/b"), std::string("a\nb"), std::string(), std::string("a=b"),
          std::string(129, 'x'), std::string("a\0b", 3)}) {
        INFO(name);
        const json object{{"version", 1}, {"pools", {{name, json::object()}}}};
        CHECK(fault_of(object.dump()) == "\"pools\": what names a pool is no name");
    }
}

TEST_CASE("keys that are not known are passed over, records without entries left out") {
    json root = json::parse(text_of(whole()));
    root["later"] = {1, 2, 3};
    root["pools"]["web"]["later"] = "x";
    root["pools"]["web"]["servers"]["front1"]["weight"]["later"] = nullptr;
    root["pools"]["empty"] = {{"servers", {{"none", json::object()}}}};
    const auto records = parse_records(root.dump());
    REQUIRE(records);
    CHECK(text_of(*records) == text_of(whole()));
}

TEST_CASE("what is due ends, and the rest stays") {
    Records records = whole();
    CHECK(next_end_ms(records) == 4000);
    std::vector<std::string> ended;
    const auto note = [&ended](const Ended& one) {
        ended.push_back(one.pool + "/" + one.server + " " + one.entry.what);
    };
    end_due(records, 3999, note);
    CHECK(ended.empty());
    end_due(records, 4000, note);
    CHECK(ended == std::vector<std::string>{"web/front2 drained"});
    CHECK(next_end_ms(records) == 5000);
    CHECK(decisions_of(records).at("web").servers.at("front2") ==
          pool::ServerDecision{pool::Admin::enabled, 65'535U});
    end_due(records, 9000, note);
    CHECK(ended == std::vector<std::string>{"web/front2 drained", "web/ maintenance"});
    CHECK_FALSE(next_end_ms(records));
    CHECK(decisions_of(records).at("web").only == "front1");
}

}  // namespace
}  // namespace palier::control
