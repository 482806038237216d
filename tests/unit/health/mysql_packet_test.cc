#include "health/mysql_packet.h"

#include "catch.h"

#include <vector>

using namespace palier::health;
using namespace std::string_literals;

TEST_CASE("mysql packets: cut anywhere", "[mysql_packet]") {
    using Event = MysqlPacketReader::Event;
    const std::string long_one(MysqlPacketReader::kMaxPayload, 'x');
    const std::string bytes = mysql_packet(0, "one") + mysql_packet(7, "") + mysql_packet(255, long_one);
    CHECK(bytes.starts_with("\x03\0\0\0one\0\0\0\x07\0\0\x01\xff"s));
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{5}, bytes.size()}) {
        MysqlPacketReader reader;
        std::vector<std::string> found;
        for (std::size_t at = 0; at < bytes.size(); at += size) {
            std::string_view piece = std::string_view(bytes).substr(at, size);
            while (true) {
                const Event event = reader.take(piece);
                REQUIRE(event != Event::too_long);
                if (event == Event::need_more) break;
                CHECK_FALSE(reader.within_packet());
                found.push_back(std::to_string(reader.sequence()) + std::string(reader.payload()));
            }
            CHECK(piece.empty());
        }
        CHECK_FALSE(reader.within_packet());
        CHECK(found == std::vector<std::string>{"0one", "7", "255" + long_one});
    }
}

TEST_CASE("mysql packets: too long ones are known by their length", "[mysql_packet]") {
    MysqlPacketReader reader;
    std::string_view start("\x01\0\x01", 3);
    CHECK(reader.take(start) == MysqlPacketReader::Event::need_more);
    CHECK(reader.within_packet());
    std::string_view rest("\0", 1);
    CHECK(reader.take(rest) == MysqlPacketReader::Event::too_long);
}

TEST_CASE("mysql fields: integers and texts", "[mysql_packet]") {
    const std::string payload = "\x01\x02\x03\x04\x05\x06\x07\x08ve\0rest"s;
    MysqlFields fields(payload);
    CHECK(fields.integer(1) == 1);
    CHECK(fields.integer(2) == 0x0302);
    CHECK(fields.integer(3) == 0x060504);
    fields.skip(2);
    CHECK(fields.text_to_nul() == "ve");
    CHECK(fields.rest() == "rest");
    CHECK(fields.ok());
    CHECK_FALSE(fields.ended());
    CHECK(fields.text_to_nul().empty());
    CHECK_FALSE(fields.ok());
    CHECK(MysqlFields("\xff\xff\xff\xff\xff\xff\xff\xff").integer(8) == ~std::uint64_t{0});
}

TEST_CASE("mysql fields: nothing is read beyond the end", "[mysql_packet]") {
    MysqlFields fields("abc");
    CHECK(fields.integer(4) == 0);
    CHECK_FALSE(fields.ok());
    CHECK(fields.integer(1) == 0);
    CHECK_FALSE(fields.ended());

    // Lengths that lie, also by nearly 2^64.
    CHECK_FALSE(MysqlFields("\x04"
                            "abc")
                    .text_or_null() == "abc");
    MysqlFields huge(
        "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"
        "abc");
    CHECK(huge.text_or_null() == "");
    CHECK_FALSE(huge.ok());
}

TEST_CASE("mysql fields: length-encoded integers", "[mysql_packet]") {
    const auto length = [](const std::string& bytes) {
        MysqlFields fields(bytes);
        const std::uint64_t value = fields.length();
        return fields.ended() ? std::to_string(value) : "bad";
    };
    CHECK(length("\xfa") == "250");
    CHECK(length("\xfc\xfb\x01") == "507");
    CHECK(length("\xfd\x01\x02\x03") == "197121");
    CHECK(length("\xfe\x01\0\0\0\0\0\0\x80"s) == "9223372036854775809");
    for (const std::string& wrong :
         {""s, "\xfb"s, "\xff"s, "\xfc\x01"s, "\xfd\x01\x02"s, "\xfe\x01\0\0\0\0\0\0"s})
        CHECK(length(wrong) == "bad");

    const std::string payload = "\xfb\x03one\0\x01"s;
    MysqlFields texts(payload);
    CHECK_FALSE(texts.text_or_null().has_value());
    CHECK(texts.text_or_null() == "one");
    CHECK(texts.text_or_null() == "");
    CHECK(texts.ok());
    CHECK(texts.text_or_null() == "");
    CHECK_FALSE(texts.ok());
}

TEST_CASE("mysql errors", "[mysql_packet]") {
    const auto error = read_mysql_error("\xff\x15\x04#28000Access denied");
    REQUIRE(error);
    CHECK(error->number == 1045);
    CHECK(error->state == "28000");
    CHECK(text_of(*error) == "error 1045: Access denied");

    const auto early = read_mysql_error("\xff\x69\x04Host 'a' is blocked");
    REQUIRE(early);
    CHECK(early->state.empty());
    CHECK(text_of(*early) == "error 1129: Host 'a' is blocked");

    CHECK(text_of(*read_mysql_error("\xff\x10\x04")) == "error 1040");
    CHECK(text_of(*read_mysql_error("\xff\x10\x04#080")) == "error 1040: #080");
    CHECK(text_of(*read_mysql_error("\xff\x10\x04"
                                    "a\nb\x1b[0m")) == "error 1040: a?b?[0m");
    CHECK(text_of(*read_mysql_error("\xff\x10\x04" + std::string(5000, 'a'))) ==
          "error 1040: " + std::string(160, 'a') + "...");
    CHECK_FALSE(read_mysql_error("").has_value());
    CHECK_FALSE(read_mysql_error("\xff\x10").has_value());
    CHECK_FALSE(read_mysql_error("\x00\x10\x04"s).has_value());
}
