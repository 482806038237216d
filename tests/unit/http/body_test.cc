#include "palier/http/body.h"

#include "cuts.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

using namespace palier::http;
using namespace palier::http::test;
using namespace std::string_literals;

namespace {

constexpr std::size_t kTrailerLimit = 64;

/// "data|trailers|rest" of a complete body, "data..." of an unfinished one, "data!" of a broken one.
std::string read(BodyLength length, std::string_view bytes, const std::vector<std::size_t>& ends) {
    BodyReader reader;
    reader.start(length, kTrailerLimit);
    std::string data;
    std::size_t at = 0;
    for (const std::size_t end : ends) {
        const ExactBytes piece(bytes.substr(at, end - at));
        std::string_view input = piece.view();
        while (true) {
            const BodyReader::Step step = reader.next(input);
            data.append(step.data);
            CHECK(reader.received() == data.size());
            REQUIRE(step.consumed <= input.size());
            input.remove_prefix(step.consumed);
            at += step.consumed;
            if (step.event == BodyReader::Event::error) return data + "!";
            if (step.event == BodyReader::Event::end) {
                CHECK(reader.ended());
                return data + "|" + std::string(reader.trailers()) + "|" + std::string(bytes.substr(at));
            }
            CHECK_FALSE((step.event == BodyReader::Event::data && step.data.empty()));
            if (step.event == BodyReader::Event::need_more) break;
        }
        REQUIRE(input.empty());
    }
    return data + "...";
}

/// Whole, in two pieces cut anywhere, byte by byte: always the same.
std::string body(BodyLength length, const std::string& bytes) {
    CAPTURE(bytes);
    const std::string whole = read(length, bytes, {bytes.size()});
    std::vector<std::size_t> all;
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        CHECK(read(length, bytes, {cut, bytes.size()}) == whole);
        all.push_back(cut);
    }
    all.push_back(bytes.size());
    CHECK(read(length, bytes, all) == whole);
    return whole;
}

std::string chunked(const std::string& bytes) {
    return body({Framing::chunked, 0}, bytes);
}

}  // namespace

TEST_CASE("Bodies without chunks") {
    CHECK(body({Framing::none, 0}, "") == "||");
    CHECK(body({Framing::none, 0}, "x") == "||x");
    CHECK(body({Framing::length, 0}, "") == "||");
    CHECK(body({Framing::length, 3}, "abcde") == "abc||de");
    CHECK(body({Framing::length, 3}, "ab") == "ab...");
    CHECK(body({Framing::until_close, 0}, "abc") == "abc...");
}

TEST_CASE("Data comes in pieces as large as the input") {
    BodyReader reader;
    reader.start({Framing::length, 10}, 0);
    auto step = reader.next("0123456");
    CHECK(step.event == BodyReader::Event::data);
    CHECK(step.data == "0123456");
    CHECK_FALSE(reader.ended());
    step = reader.next("789GET");
    CHECK(step.consumed == 3);
    CHECK(reader.ended());
    CHECK(reader.next("GET").event == BodyReader::Event::end);
    CHECK(reader.next("GET").consumed == 0);

    reader.start({Framing::chunked, 0}, 0);
    const std::string_view bytes = "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n";
    step = reader.next(bytes);
    CHECK(step.data == "hello");
    CHECK(step.consumed == 8);
    step = reader.next(bytes.substr(8));
    CHECK(step.data == "abc");
}

TEST_CASE("Bytes of a plain body may go another way") {
    BodyReader reader;
    reader.start({Framing::length, 10}, 0);
    CHECK(reader.plain_remaining() == 10);
    CHECK(reader.next("012").data == "012");
    CHECK(reader.plain_remaining() == 7);
    reader.pass(5);
    CHECK(reader.received() == 8);
    CHECK_FALSE(reader.ended());
    CHECK(reader.next("89GET").data == "89");
    CHECK(reader.ended());
    reader.start({Framing::length, 3}, 0);
    reader.pass(3);
    CHECK(reader.ended());
    CHECK(reader.plain_remaining() == 0);
    for (const Framing framing : {Framing::none, Framing::chunked, Framing::until_close}) {
        reader.start({framing, 0}, 0);
        CHECK(reader.plain_remaining() == 0);
    }
}

TEST_CASE("The end of the connection ends only a body that is framed by it") {
    BodyReader reader;
    CHECK(reader.finish());
    reader.start({Framing::until_close, 0}, 0);
    CHECK(reader.next("abc").data == "abc");
    CHECK_FALSE(reader.ended());
    CHECK(reader.finish());
    CHECK(reader.ended());
    CHECK(reader.next("x").event == BodyReader::Event::end);
    reader.start({Framing::length, 3}, 0);
    CHECK(reader.next("ab").data == "ab");
    CHECK_FALSE(reader.finish());
    reader.start({Framing::chunked, 0}, 0);
    CHECK(reader.next("0\r\n").event == BodyReader::Event::need_more);
    CHECK_FALSE(reader.finish());
    CHECK(reader.next("\r\n").event == BodyReader::Event::end);
    CHECK(reader.finish());
}

TEST_CASE("Chunks") {
    CHECK(chunked("0\r\n\r\n") == "||");
    CHECK(chunked("3\r\nabc\r\n0\r\n\r\nrest") == "abc||rest");
    CHECK(chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n") == "01234567890123456789||");
    CHECK(chunked("0000000000000003\r\nabc\r\n0000000000000000\r\n\r\n") == "abc||");
    CHECK(chunked("3;name=value\r\nabc\r\n0;x;y=\"z \t\"\r\n\r\n") == "abc||");
    CHECK(chunked("3;" + std::string(255, 'x') + "\r\nabc\r\n0\r\n\r\n") == "abc||");
    CHECK(chunked("3\r\nabc\r\n") == "abc...");
    CHECK(chunked("7fffffffffffffff\r\nabc") == "abc...");
}

TEST_CASE("Bad chunks are refused") {
    for (const std::string& bytes : {"\r\n"s,
                                     "x\r\n"s,
                                     "-1\r\n"s,
                                     "+1\r\n"s,
                                     "0x1\r\n"s,
                                     " 1\r\n"s,
                                     "1 \r\na"s,
                                     "1\t\r\na"s,
                                     "1 ;x\r\na"s,
                                     "1\na"s,
                                     "1\r\r\n"s,
                                     "1\rx"s,
                                     "g\r\n"s,
                                     "1,\r\n"s,
                                     ";x\r\n"s,
                                     "00000000000000001\r\na"s,
                                     "8000000000000000\r\n"s,
                                     "ffffffffffffffff\r\n"s,
                                     "10000000000000000\r\n"s,
                                     "1;a\nb\r\na"s,
                                     "1;a\x01\r\na"s,
                                     "1;a\0\r\na"s,
                                     "1;\x80\r\na"s,
                                     "1;a\x7f\r\n"s,
                                     "1;a\r\r\n"s,
                                     "1;" + std::string(256, 'x') + "\r\n"}) {
        CHECK(chunked(bytes) == "!");
    }
    for (const std::string bytes : {"3\r\nabcd\r\n", "3\r\nabc\n", "3\r\nabc\rx", "3\r\nabc0\r\n\r\n",
                                    "3\r\nabc\r\n\r\n", "3\r\nabc\r\n-0\r\n"}) {
        CHECK(chunked(bytes) == "abc!");
    }
    CHECK(chunked("0\r\n\n") == "!");
    CHECK(chunked("0\r\n\rx") == "!");
    CHECK(chunked("0\n\n") == "!");
}

TEST_CASE("An error stays an error") {
    BodyReader reader;
    reader.start({Framing::chunked, 0}, 0);
    CHECK(reader.next("x").event == BodyReader::Event::error);
    CHECK(reader.next("0\r\n\r\n").event == BodyReader::Event::error);
    CHECK_FALSE(reader.finish());
    CHECK_FALSE(reader.ended());
    reader.start({Framing::chunked, 0}, 0);
    CHECK(reader.next("0\r\n\r\n").event == BodyReader::Event::end);
}

TEST_CASE("Trailers are checked and rewritten") {
    CHECK(chunked("0\r\nA:b\r\n\r\nrest") == "|A: b\r\n|rest");
    CHECK(chunked("1\r\nx\r\n0\r\nA: b\r\nEmpty: \t\r\nC:\td e \r\n\r\n") ==
          "x|A: b\r\nEmpty: \r\nC: d e\r\n|");
    CHECK(chunked("0\r\nA: b\r\n") == "...");
    for (const std::string& bad : {"A : b\r\n"s, " A: b\r\n"s, "A: b\r\n c\r\n"s, "A: b\n"s, "A: b\rc\r\n"s,
                                   ": b\r\n"s, "A\r\n"s, "A: \0\r\n"s, "\n"s, "A: b\r\n\n"s}) {
        CAPTURE(bad);
        CHECK(chunked("0\r\n" + bad + "\r\n") == "!");
    }
}

TEST_CASE("Trailers that would change the message are dropped") {
    for (const std::string name : {"Content-Length",
                                   "Transfer-Encoding",
                                   "Host",
                                   "Content-Type",
                                   "Content-Encoding",
                                   "content-range",
                                   "Content-MD5x",
                                   "Trailer",
                                   "TE",
                                   "Connection",
                                   "Keep-Alive",
                                   "Upgrade",
                                   "Cookie",
                                   "Set-Cookie",
                                   "Authorization",
                                   "Proxy-Authorization",
                                   "WWW-Authenticate",
                                   "Expect",
                                   "Range",
                                   "Cache-Control",
                                   "Max-Forwards",
                                   "X-Forwarded-For",
                                   "X_Forwarded_Proto",
                                   "X-Real-IP",
                                   "Forwarded",
                                   "X-Request-Id",
                                   "Location",
                                   "Date",
                                   "Age",
                                   "Vary",
                                   "Content_Length",
                                   "a.b"}) {
        CAPTURE(name);
        CHECK(chunked("0\r\n" + name + ": 5\r\nA: b\r\n\r\n") == "|A: b\r\n|");
    }
}

TEST_CASE("A trailer section is limited") {
    const std::string fits = "A: " + std::string(kTrailerLimit - 5, 'x') + "\r\n";
    REQUIRE(fits.size() == kTrailerLimit);
    CHECK(chunked("0\r\n" + fits + "\r\n") == "|" + fits + "|");
    CHECK(chunked("0\r\nA: " + std::string(kTrailerLimit, 'x')) == "!");
    BodyReader reader;
    reader.start({Framing::chunked, 0}, 0);
    CHECK(reader.next("0\r\nA: b\r\n\r\n").event == BodyReader::Event::error);
}

TEST_CASE("Trailers last until the next start") {
    BodyReader reader;
    reader.start({Framing::chunked, 0}, kTrailerLimit);
    CHECK(reader.next("0\r\nA: b\r\n\r\n").event == BodyReader::Event::end);
    CHECK(reader.trailers() == "A: b\r\n");
    reader.start({Framing::chunked, 0}, kTrailerLimit);
    CHECK(reader.trailers().empty());
}

TEST_CASE("Random chunks in random pieces come out as they went in") {
    std::mt19937 random(20240607);
    const auto below = [&random](unsigned limit) {
        return std::uniform_int_distribution<unsigned>(0, limit - 1)(random);
    };
    for (int round = 0; round < 300; ++round) {
        std::string data;
        std::string bytes;
        for (unsigned chunks = below(8); chunks > 0; --chunks) {
            const std::string piece(1 + below(round % 10 == 0 ? 5000 : 30),
                                    static_cast<char>('a' + below(26)));
            char size[18];
            bytes.append(size,
                         static_cast<std::size_t>(std::snprintf(size, sizeof size, "%zx", piece.size())));
            if (below(4) == 0) bytes += ";ext=" + std::to_string(below(100));
            bytes += "\r\n" + piece + "\r\n";
            data += piece;
        }
        const bool trailers = below(3) == 0;
        bytes += trailers ? "0\r\nT: v\r\n\r\n" : "0\r\n\r\n";
        std::vector<std::size_t> ends;
        for (std::size_t end = 0; end < bytes.size();) {
            end = std::min<std::size_t>(bytes.size(), end + 1 + below(round % 3 == 0 ? 4 : 200));
            ends.push_back(end);
        }
        CHECK(read({Framing::chunked, 0}, bytes, ends) == data + (trailers ? "|T: v\r\n|" : "||"));
    }
}
