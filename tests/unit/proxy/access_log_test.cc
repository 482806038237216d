#include "palier/proxy/access_log.h"

#include "allocation_count.h"
#include "catch.h"
#include "log_fixture.h"

#include <random>
#include <string>

#include <nlohmann/json.hpp>

using namespace palier;
using namespace palier::proxy;
using namespace palier::test;

namespace {

/// What a log that is written through to a file holds after `records`.
std::string logged(config::LogFormat format, const std::vector<AccessRecord>& records) {
    const TempFolder folder;
    const std::string path = folder / "access.log";
    base::WallClock clock = standing_clock();
    {
        auto writer = AccessLogWriter::open(logging_to(path, format));
        REQUIRE(writer.has_value());
        AccessLog log(writer->get(), format);
        for (const AccessRecord& record : records)
            log.write(record, clock);
    }
    return contents_of(path);
}

std::string logged_path(config::LogFormat format, std::string_view path) {
    AccessRecord record = example_record();
    record.path = path;
    return logged(format, {record});
}

/// A record for each of `values`, which stand wherever a client can put them.
std::vector<AccessRecord> records_with(const std::vector<std::string>& values) {
    std::vector<AccessRecord> records;
    for (const std::string& value : values) {
        records.push_back(example_record());
        records.back().path = records.back().host = records.back().method = records.back().request_id = value;
    }
    return records;
}

/// The path of the one JSON line, which has to be valid.
std::string json_path(std::string_view path) {
    return nlohmann::json::parse(logged_path(config::LogFormat::json, path)).at("path");
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a JSON line has all of its fields in order") {
    CHECK(logged(config::LogFormat::json, {example_record()}) ==
          R"({"time":"2026-11-20T23:25:01.123Z","client":"203.0.113.57","listener":"https","method":"GET",)"
          R"("host":"shop.example.com","path":"/catalog?page=2","protocol":"HTTP/1.1","status":200,)"
          R"("bytes_in":812,"bytes_out":15321,"pool":"web","server":"front1","tries":2,"ttfb_ms":1.834,)"
          R"("total_ms":12003.004,"reason":"backend_cut","request_id":"4f1c2b3a"})"
          "\n");
}

TEST_CASE("an empty record is a valid JSON line too") {
    const std::string line = logged(config::LogFormat::json, {AccessRecord{}});
    const auto json = nlohmann::json::parse(line);
    CHECK(json.at("host") == "");
    CHECK(json.at("status") == 0);
    CHECK(json.at("reason") == "ok");
    CHECK(contains(line, "\"ttfb_ms\":0.000,"));
}

TEST_CASE("the greatest numbers fit") {
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    AccessRecord record;
    record.bytes_in = record.bytes_out = record.ttfb_us = record.total_us = kMost;
    record.tries = std::numeric_limits<std::uint32_t>::max();
    record.status = 65535;
    const auto json = nlohmann::json::parse(logged(config::LogFormat::json, {record}));
    CHECK(json.at("bytes_out") == kMost);
    CHECK(json.at("tries") == 4294967295);
}

TEST_CASE("JSON escapes quotes, backslashes and control bytes") {
    const std::string line =
        logged_path(config::LogFormat::json, std::string_view("/\"\\\x01\n\x1f\x7f\0end", 11));
    CHECK(contains(line, R"("path":"/\"\\\u0001\u000A\u001F\u007F\u0000end")"));
    CHECK(split_lines(line).size() == 1);
    CHECK(json_path("/\"x\"/\\") == "/\"x\"/\\");
}

TEST_CASE("JSON keeps UTF-8 and escapes bytes that are none") {
    CHECK(contains(logged_path(config::LogFormat::json, "/caf\xc3\xa9/\xe2\x82\xac/\xf0\x9f\x98\x80"),
                   "/caf\xc3\xa9/\xe2\x82\xac/\xf0\x9f\x98\x80\""));
    const auto escaped = [](std::string_view bytes) { return json_path(bytes); };
    CHECK(escaped("\xff") == "\u00ff");
    CHECK(escaped("\xc3") == "\u00c3");    // cut short by the end
    CHECK(escaped("\xc3(") == "\u00c3(");  // and by another character
    CHECK(escaped("\xe2\x82") == "\u00e2\u0082");
    CHECK(escaped("\xc0\xaf") == "\u00c0\u00af");  // overlong
    CHECK(escaped("\xe0\x80\xaf") == "\u00e0\u0080\u00af");
    CHECK(escaped("\xed\xa0\x80") == "\u00ed\u00a0\u0080");            // a surrogate
    CHECK(escaped("\xf4\x90\x80\x80") == "\u00f4\u0090\u0080\u0080");  // beyond U+10FFFF
    CHECK(escaped("\xf0\x80\x80\x80") == "\u00f0\u0080\u0080\u0080");
}

TEST_CASE("escapes are found at every place of a value") {
    std::vector<std::string> paths;
    for (std::size_t size = 1; size < 20; ++size) {
        for (std::size_t place = 0; place < size; ++place) {
            for (const char byte : {'"', '\\', '\x1f', '\x7f', '\t'}) {
                paths.emplace_back(size, 'a');
                paths.back()[place] = byte;
            }
        }
    }
    const auto lines = split_lines(logged(config::LogFormat::json, records_with(paths)));
    REQUIRE(lines.size() == paths.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
        REQUIRE(nlohmann::json::parse(lines[i]).at("path") == paths[i]);
        REQUIRE(std::ranges::none_of(lines[i], [](char byte) { return byte < 0x20 || byte == 0x7f; }));
    }
}

TEST_CASE("whatever bytes come, a line is one valid JSON object") {
    std::mt19937 random(7);  // NOLINT: the same bytes each time
    std::uniform_int_distribution<int> bytes(0, 255);
    std::vector<std::string> noises;
    for (std::size_t size = 0; size < 300; ++size) {
        noises.emplace_back(size, '\0');
        for (char& byte : noises.back())
            byte = static_cast<char>(bytes(random));
    }
    const auto lines = split_lines(logged(config::LogFormat::json, records_with(noises)));
    REQUIRE(lines.size() == noises.size());
    for (const std::string& line : lines)
        REQUIRE(nlohmann::json::parse(line).at("pool") == "web");
}

TEST_CASE("a combined line is as nginx writes it") {
    CHECK(logged(config::LogFormat::combined, {example_record()}) ==
          "203.0.113.57 - - [20/Nov/2026:23:25:01 +0000] \"GET /catalog?page=2 HTTP/1.1\" 200 15321 "
          "\"https://shop.example.com/\" \"Mozilla/5.0\"\n");
}

TEST_CASE("a combined line says - for what is not known") {
    AccessRecord record;
    record.client = "2001:db8::1";
    record.status = 400;
    CHECK(logged(config::LogFormat::combined, {record}) ==
          "2001:db8::1 - - [20/Nov/2026:23:25:01 +0000] \"-\" 400 0 \"-\" \"-\"\n");
}

TEST_CASE("a combined line escapes as nginx does") {
    CHECK(contains(logged_path(config::LogFormat::combined, "/\"\\\x01\n caf\xc3\xa9\x7f~"),
                   R"("GET /\x22\x5C\x01\x0A caf\xC3\xA9\x7F~ HTTP/1.1")"));
}

TEST_CASE("values beyond any honest length are cut, and the longest line fits a block") {
    const std::string endless(200'000, '\x01');
    AccessRecord record;
    record.client = record.listener = record.method = record.host = record.path = record.protocol = endless;
    record.pool = record.server = record.request_id = record.referer = record.user_agent = endless;

    const auto lines = split_lines(logged(config::LogFormat::json, {record, example_record(), record}));
    REQUIRE(lines.size() == 3);
    for (const std::size_t index : {0U, 2U}) {
        const auto json = nlohmann::json::parse(lines[index]);
        CHECK(json.at("path").get<std::string>() == std::string(8000, '\x01'));
        CHECK(json.at("host").get<std::string>() == std::string(256, '\x01'));
    }
    const auto combined =
        split_lines(logged(config::LogFormat::combined, {record, example_record(), record}));
    REQUIRE(combined.size() == 3);
    CHECK(combined[0] == combined[2]);
    CHECK(combined[0].size() > 4 * (8000 + 2 * 2000));
}

TEST_CASE("without a writer there is no log") {
    const auto writer = AccessLogWriter::open(logging_to("off"));
    REQUIRE(writer.has_value());
    CHECK(*writer == nullptr);
    base::WallClock clock = standing_clock();
    AccessLog log(writer->get(), config::LogFormat::json);
    CHECK_FALSE(log.enabled());
    log.write(example_record(), clock);
    log.flush();
}

TEST_CASE("flush hands over the unfinished block") {
    const TempFolder folder;
    const auto writer = AccessLogWriter::open(logging_to(folder / "access.log"));
    REQUIRE(writer.has_value());
    base::WallClock clock = standing_clock();
    AccessLog log(writer->get(), config::LogFormat::json);
    log.write(example_record(), clock);
    CHECK(contents_of(folder / "access.log").empty());
    log.flush();
    CHECK(comes_true([&] { return split_lines(contents_of(folder / "access.log")).size() == 1; }));
}

TEST_CASE("a record costs no allocation in steady state") {
    for (const auto format : {config::LogFormat::json, config::LogFormat::combined}) {
        const TempFolder folder;
        Fifo fifo(folder / "access.log");
        const auto writer = AccessLogWriter::open(logging_to(fifo.path(), format));
        REQUIRE(writer.has_value());
        base::WallClock clock = standing_clock();
        AccessLog log(writer->get(), format);
        std::uint64_t written = 0;
        const auto write_lines = [&](int count) {
            const AccessRecord record = example_record();
            for (int line = 0; line < count; ++line, ++written) {
                clock.update(written);
                log.write(record, clock);
            }
            log.flush();
        };
        const auto all_arrived = [&] { return fifo.lines_read() == written; };

        write_lines(3000);  // many blocks under way while nobody reads: those of the steady state and more
        REQUIRE(comes_true(all_arrived));
        for (int round = 0; round < 20; ++round) {
            const std::uint64_t before = allocations_of_this_thread();
            write_lines(300);
            const std::uint64_t after = allocations_of_this_thread();
            CHECK(after == before);
            REQUIRE(comes_true(all_arrived));
        }
    }
}
