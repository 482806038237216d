#include "palier/proxy/body_relay.h"

#include "catch.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

using namespace palier::http;
using palier::proxy::append_last_chunk;
using palier::proxy::last_chunk_size;
using palier::proxy::relay_body;
using palier::proxy::RelayedBody;
using palier::proxy::write_last_chunk;

namespace {

constexpr std::size_t kBefore = 20;  // bytes that relay_body() may overwrite before its input
constexpr std::size_t kBehind = 2;   // and behind it
constexpr std::size_t kGuard = 64;
constexpr char kGuardByte = '\x5a';
constexpr std::size_t kTrailerLimit = 1'024;

/// Gives relay_body() one piece of input, in memory whose surroundings it checks afterwards.
class Piece {
  public:
    explicit Piece(std::string_view input)
        : memory_(kGuard + kBefore + input.size() + kBehind + kGuard, kGuardByte), size_(input.size()) {
        std::ranges::copy(input, begin());
    }

    RelayedBody relay(BodyReader& reader, Framing framing) {
        const RelayedBody out = relay_body(reader, begin(), begin() + size_, framing);
        check_guards();
        if (!out.broken) {
            REQUIRE(out.begin <= out.end);
            REQUIRE(out.begin >= begin() - kBefore);
            REQUIRE(out.end <= begin() + size_ + kBehind);
        }
        REQUIRE(out.consumed <= size_);
        return out;
    }
    [[nodiscard]] std::string_view behind(const RelayedBody& out) const {
        return std::string_view(memory_).substr(kGuard + kBefore + out.consumed, size_ - out.consumed);
    }

  private:
    [[nodiscard]] char* begin() { return memory_.data() + kGuard + kBefore; }
    void check_guards() const {
        const auto intact = [](char c) { return c == kGuardByte; };
        REQUIRE(std::all_of(memory_.begin(), memory_.begin() + kGuard, intact));
        REQUIRE(std::all_of(memory_.end() - static_cast<std::ptrdiff_t>(kGuard), memory_.end(), intact));
    }

    std::string memory_;
    std::size_t size_;
};

struct Relayed {
    std::string out;
    bool ended = false;
    bool broken = false;
    std::string left;  // of the input, behind the body
};

/// Relays `input` cut at `cuts`, with the end of a chunked body as the callers write it.
Relayed relay_in_pieces(std::string_view input, const std::vector<std::size_t>& cuts, BodyLength length,
                        Framing framing) {
    BodyReader reader;
    reader.start(length, kTrailerLimit);
    Relayed result;
    std::size_t from = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const std::size_t to = i < cuts.size() ? cuts[i] : input.size();
        Piece piece(input.substr(from, to - from));
        const RelayedBody out = piece.relay(reader, framing);
        if (out.broken) {
            result.broken = true;
            return result;
        }
        result.out.append(out.begin, out.end);
        from = to;
        if (out.ended) {
            result.ended = true;
            result.left = std::string(piece.behind(out)) + std::string(input.substr(to));
            break;
        }
        REQUIRE(out.consumed == piece.behind(RelayedBody{}).size());
    }
    if (!result.ended && length.framing == Framing::until_close) result.ended = reader.finish();
    if (result.ended && framing == Framing::chunked) {
        palier::base::Buffer last;
        append_last_chunk(last, reader.trailers());
        result.out.append(last.view());
    }
    return result;
}

/// Takes a chunked body apart, independently of what is tested: payload and trailer lines.
struct Decoded {
    std::string payload;
    std::string trailers;
};

Decoded decode_chunked(std::string_view bytes) {
    Decoded decoded;
    for (;;) {
        const std::size_t line_end = bytes.find("\r\n");
        REQUIRE(line_end != std::string_view::npos);
        const std::string digits(bytes.substr(0, line_end));
        REQUIRE(!digits.empty());
        REQUIRE(digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos);
        const std::size_t size = std::stoul(digits, nullptr, 16);
        bytes.remove_prefix(line_end + 2);
        if (size == 0) break;
        REQUIRE(bytes.size() >= size + 2);
        decoded.payload += bytes.substr(0, size);
        REQUIRE(bytes.substr(size, 2) == "\r\n");
        bytes.remove_prefix(size + 2);
    }
    REQUIRE(bytes.ends_with("\r\n"));
    decoded.trailers = bytes.substr(0, bytes.size() - 2);
    return decoded;
}

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    std::size_t below(std::size_t limit) { return engine_() % limit; }

    std::string payload(std::size_t size) {
        // Bytes that look like framing, so that a slip would be taken for some.
        static constexpr std::string_view kAlphabet = "0123456789abcdef\r\n;0\r\n\r\n\xff";
        std::string text;
        for (std::size_t i = 0; i < size; ++i)
            text += kAlphabet[below(kAlphabet.size())];
        return text;
    }
    std::string chunked(std::string_view payload) {
        std::string text;
        while (!payload.empty()) {
            const std::size_t size =
                1 + below(std::min<std::size_t>(payload.size(), below(4) == 0 ? 4'000 : 20));
            text += fmt::format("{}{:x}{}\r\n", below(3) == 0 ? "000" : "", size,
                                below(3) == 0 ? ";name=\"value\"" : "");
            text.append(payload.substr(0, size)).append("\r\n");
            payload.remove_prefix(size);
        }
        return text + "0\r\n";
    }
    std::vector<std::size_t> cuts(std::size_t size) {
        std::vector<std::size_t> places;
        const std::size_t count = below(12);
        for (std::size_t i = 0; i < count; ++i)
            places.push_back(below(size + 1));
        std::ranges::sort(places);
        return places;
    }

  private:
    std::mt19937 engine_;
};

std::vector<std::size_t> every_byte(std::size_t size) {
    std::vector<std::size_t> places;
    for (std::size_t at = 1; at < size; ++at)
        places.push_back(at);
    return places;
}

constexpr std::string_view kNext = "GET /next HTTP/1.1\r\n\r\n";

}  // namespace

TEST_CASE("a body of known length goes through as it is, and not a byte of the next message with it") {
    Random random(1);
    for (int round = 0; round < 300; ++round) {
        const std::string payload = random.payload(random.below(3'000));
        const std::string input = payload + std::string(kNext);
        const BodyLength length{Framing::length, payload.size()};
        const Relayed relayed = relay_in_pieces(input, random.cuts(input.size()), length, Framing::length);
        REQUIRE(relayed.ended);
        REQUIRE(relayed.out == payload);
        REQUIRE(relayed.left == kNext);
    }
}

TEST_CASE("no body is no bytes") {
    for (const BodyLength length : {BodyLength{Framing::none, 0}, BodyLength{Framing::length, 0}}) {
        const Relayed relayed = relay_in_pieces(kNext, {}, length, length.framing);
        CHECK(relayed.ended);
        CHECK(relayed.out.empty());
        CHECK(relayed.left == kNext);
    }
}

TEST_CASE("chunks become other chunks with the same payload, however they are cut") {
    Random random(2);
    for (int round = 0; round < 300; ++round) {
        const std::string payload = random.payload(random.below(6'000));
        const std::string trailers = random.below(2) == 0 ? "" : "X-Sum: 42\r\nX-More: yes\r\n";
        const std::string input = random.chunked(payload) + trailers + "\r\n" + std::string(kNext);
        const auto cuts = round % 10 == 0 ? every_byte(input.size()) : random.cuts(input.size());
        const Relayed relayed = relay_in_pieces(input, cuts, {Framing::chunked, 0}, Framing::chunked);
        REQUIRE(relayed.ended);
        REQUIRE(relayed.left == kNext);
        const Decoded decoded = decode_chunked(relayed.out);
        REQUIRE(decoded.payload == payload);
        REQUIRE(decoded.trailers == trailers);
    }
}

TEST_CASE("chunks become plain bytes for a client that knows no chunks") {
    Random random(3);
    for (int round = 0; round < 200; ++round) {
        const std::string payload = random.payload(random.below(3'000));
        const std::string input = random.chunked(payload) + "\r\n" + std::string(kNext);
        const Relayed relayed =
            relay_in_pieces(input, random.cuts(input.size()), {Framing::chunked, 0}, Framing::until_close);
        REQUIRE(relayed.ended);
        REQUIRE(relayed.out == payload);
        REQUIRE(relayed.left == kNext);
    }
}

TEST_CASE("a body that lasts until the close becomes chunks, or stays as it is") {
    Random random(4);
    for (int round = 0; round < 200; ++round) {
        const std::string payload = random.payload(random.below(3'000));
        const auto cuts = random.cuts(payload.size());
        const BodyLength length{Framing::until_close, 0};
        CHECK(decode_chunked(relay_in_pieces(payload, cuts, length, Framing::chunked).out).payload ==
              payload);
        CHECK(relay_in_pieces(payload, cuts, length, Framing::until_close).out == payload);
    }
}

TEST_CASE("a large piece needs a longer size line, which has its room before the input") {
    const std::string payload(1 << 20, 'x');
    const Relayed relayed = relay_in_pieces(payload, {}, {Framing::until_close, 0}, Framing::chunked);
    CHECK(relayed.out.starts_with("100000\r\nxxx"));
    CHECK(decode_chunked(relayed.out).payload == payload);
}

TEST_CASE("many small chunks of one piece become one") {
    const Relayed relayed = relay_in_pieces("1\r\na\r\n2;x\r\nbc\r\n0003\r\ndef\r\n0\r\n\r\n", {},
                                            {Framing::chunked, 0}, Framing::chunked);
    CHECK(relayed.out == "6\r\nabcdef\r\n0\r\n\r\n");
}

TEST_CASE("a piece without payload gives nothing to send") {
    BodyReader reader;
    reader.start({Framing::chunked, 0}, kTrailerLimit);
    for (const std::string_view framing : {"", "5", ";x=y\r", "\n"}) {
        Piece piece(framing);
        const RelayedBody out = piece.relay(reader, Framing::chunked);
        CHECK(out.begin == out.end);
        CHECK_FALSE(out.ended);
    }
}

TEST_CASE("broken framing is told wherever it is, and never as an end") {
    const std::vector<std::string> inputs{"xyz\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n",
                                          "3\r\nabcd\r\n0\r\n\r\n",  "3\r\nabc\n0\r\n\r\n",
                                          "-3\r\nabc\r\n0\r\n\r\n",  "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
                                          "10000000000000000\r\nabc"};
    for (const std::string& input : inputs) {
        INFO(input);
        CHECK(relay_in_pieces(input, {}, {Framing::chunked, 0}, Framing::chunked).broken);
        CHECK(
            relay_in_pieces(input, every_byte(input.size()), {Framing::chunked, 0}, Framing::chunked).broken);
        CHECK(relay_in_pieces(input, {}, {Framing::chunked, 0}, Framing::until_close).broken);
    }
}

TEST_CASE("a body that stops early has no end") {
    CHECK_FALSE(relay_in_pieces("abc", {}, {Framing::length, 4}, Framing::length).ended);
    CHECK_FALSE(relay_in_pieces("3\r\nabc\r\n", {}, {Framing::chunked, 0}, Framing::chunked).ended);
    CHECK_FALSE(relay_in_pieces("3\r\nabc\r\n0\r\n", {}, {Framing::chunked, 0}, Framing::chunked).ended);
}

TEST_CASE("the last chunk has the size that was said, with and without trailers") {
    for (const std::string_view trailers :
         {std::string_view{}, std::string_view("X-Sum: 42\r\nX-More: yes\r\n")}) {
        std::string room(last_chunk_size(trailers) + 8, '#');
        const char* end = write_last_chunk(room.data(), trailers);
        CHECK(static_cast<std::size_t>(end - room.data()) == last_chunk_size(trailers));
        const std::string expected = "0\r\n" + std::string(trailers) + "\r\n";
        CHECK(room == expected + "########");
        palier::base::Buffer buffer;
        buffer.append("before");
        append_last_chunk(buffer, trailers);
        CHECK(buffer.view() == "before" + expected);
    }
}
