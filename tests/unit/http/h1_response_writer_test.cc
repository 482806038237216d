#include "catch.h"
#include "palier/http/h1_parser.h"
#include "palier/http/h1_writer.h"

#include <cstdint>
#include <limits>
#include <string>

using namespace palier::http;

namespace {

struct Sent {
    std::string head;
    Method request = Method::get;
    bool upgrade = false;
};

/// As a proxy would: framing of the received head, unless `framing` says something else.
std::string written(const Sent& sent, ResponseFraming framing = {}) {
    ResponseParser parser({});
    INFO(sent.head);
    REQUIRE(parser.parse(sent.head, 0, sent.request, sent.upgrade).state == HeadState::complete);
    if (framing.body.framing == Framing::none) framing.body = parser.head().body;
    framing.head_request = sent.request == Method::head;
    palier::base::Buffer out;
    write_response_head(out, parser.head(), framing);
    return std::string(out.view());
}

}  // namespace

TEST_CASE("A response is written anew") {
    CHECK(written({"HTTP/1.0 200 Fine\r\nServer:x\r\nA:  b\r\nConnection: keep-alive, y\r\nKeep-Alive: "
                   "timeout=1\r\nY: z\r\n"
                   "Content-Length: 05\r\nTrailer: t\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nSet-Cookie: "
                   "a\r\nSet-Cookie: b\r\n\r\n"}) ==
          "HTTP/1.1 200 Fine\r\nServer: x\r\nA: b\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: "
          "5\r\n\r\n");
    CHECK(written({"HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n"}) ==
          "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST_CASE("Framing and persistence are the caller's") {
    const Sent sent{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"};
    const std::string begin = "HTTP/1.1 200 OK\r\nA: b\r\n";
    CHECK(written(sent, {.body = {Framing::until_close, 0}, .keep_alive = false}) ==
          begin + "Connection: close\r\n\r\n");
    CHECK(written(sent, {.body = {Framing::chunked, 0}}) == begin + "Transfer-Encoding: chunked\r\n\r\n");
    CHECK(written(sent, {.body = {Framing::length, 7}, .minor = 0}) ==
          begin + "Content-Length: 7\r\nConnection: keep-alive\r\n\r\n");
    CHECK(written(sent, {.body = {Framing::length, 7}, .minor = 0, .keep_alive = false}) ==
          begin + "Content-Length: 7\r\nConnection: close\r\n\r\n");
    CHECK(written(sent, {.body = {Framing::length, std::numeric_limits<std::uint64_t>::max()},
                         .keep_alive = false}) ==
          begin + "Content-Length: 18446744073709551615\r\nConnection: close\r\n\r\n");
}

TEST_CASE("The listener's Strict-Transport-Security replaces the backend's") {
    const Sent sent{
        "HTTP/1.1 200 OK\r\nA: b\r\nstrict-transport-security: max-age=1\r\nContent-Length: 1\r\n\r\n"};
    CHECK(written(sent, {.hsts = "Strict-Transport-Security: max-age=9\r\n"}) ==
          "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 1\r\nStrict-Transport-Security: max-age=9\r\n\r\n");
    CHECK(written(sent) ==
          "HTTP/1.1 200 OK\r\nA: b\r\nstrict-transport-security: max-age=1\r\nContent-Length: 1\r\n\r\n");
}

TEST_CASE("Responses without a body") {
    CHECK(written({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n", Method::head}) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n");
    CHECK(written({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::head}) ==
          "HTTP/1.1 200 OK\r\n\r\n");
    CHECK(written({"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"}) ==
          "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    CHECK(written({"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"}) ==
          "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n");
    CHECK(written({"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"}) ==
          "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(written({"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Method::head}) ==
          "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(written({"HTTP/1.1 204 No Content\r\n\r\n"}, {.keep_alive = false}) ==
          "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");

    ResponseHead head;
    head.status = 302;
    head.reason = "Found";
    palier::base::Buffer out;
    write_response_head(out, head, {});
    CHECK(out.view() == "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("Interim responses are fields only") {
    CHECK(written({"HTTP/1.1 103 Early Hints\r\nLink: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
                  {.minor = 1, .keep_alive = false}) == "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    CHECK(written({"HTTP/1.1 100 Continue\r\n\r\n"}) == "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(written({"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, x\r\nX: y\r\nUpgrade: "
                   "websocket\r\nSec-WebSocket-Accept: k\r\n\r\n",
                   Method::get, true}) ==
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: k\r\nConnection: "
          "Upgrade\r\n\r\n");
}

TEST_CASE("Chunk sizes") {
    char out[18];
    const auto line = [&out](std::size_t size) { return std::string(out, write_chunk_size(out, size)); };
    CHECK(line(0) == "0\r\n");
    CHECK(line(10) == "a\r\n");
    CHECK(line(65536) == "10000\r\n");
    CHECK(line(std::numeric_limits<std::size_t>::max()) == "ffffffffffffffff\r\n");
}
