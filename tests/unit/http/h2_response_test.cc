// Responses that go out: what of the message model HTTP/2 says, and bodies as windows allow.
#include "h2_peer.h"

using namespace palier::http;
using namespace palier::http::test;

namespace {

/// A peer whose request on stream 1 waits for its response.
struct Waiting : Peer {
    explicit Waiting(const Fields& fields = h2::get(), unsigned flags = h2::kEndStream) {
        start();
        REQUIRE(send(encoder.headers(1, fields, flags)));
        sent.frames.clear();
        events.clear();
    }

    /// The frames that answer with the head of an HTTP/1 response.
    std::string answer(std::string_view bytes, Method method = Method::get, std::string_view extra = {}) {
        ResponseParser parser({});
        REQUIRE(parser.parse(bytes, 0, method, true).state == HeadState::complete);
        const ResponseHead& head = parser.head();
        session.respond(1, head, head.body, method == Method::head, extra, nullptr);
        read();
        return joined(sent.frames);
    }
};

std::string answer(std::string_view bytes, Method method = Method::get) {
    return Waiting().answer(bytes, method);
}

}  // namespace

TEST_CASE("A response's head is in lower case and without the fields of the backend's connection") {
    CHECK(
        answer("HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 0\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n"
               "Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nTE: x\r\nTrailer: x\r\n"
               "Set-Cookie: a=B\r\nSet-Cookie: c\r\n\r\n") ==
        "HEADERS 1 [:status=200][server=s][set-cookie=a=B][set-cookie=c][content-length=0] END\n");
    CHECK(answer("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nDate: d\r\n\r\n") ==
          "HEADERS 1 [:status=404][date=d] END\n");
    CHECK(answer("HTTP/1.1 204 No\r\n\r\n") == "HEADERS 1 [:status=204] END\n");
    CHECK(answer("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n") ==
          "HEADERS 1 [:status=304][content-length=9] END\n");
    CHECK(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Method::head) ==
          "HEADERS 1 [:status=200][content-length=9] END\n");
    Waiting waiting;
    CHECK(waiting.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Method::get,
                         "Strict-Transport-Security: max-age=1\r\nX: y\r\n") ==
          "HEADERS 1 [:status=200][content-length=0][strict-transport-security=max-age=1][x=y] END\n");
    CHECK(joined(waiting.events) == "closed 1 0\n");
    CHECK(waiting.answer("HTTP/1.1 200 OK\r\n\r\n").find("HEADERS", 9) == std::string::npos);
}

TEST_CASE("Interim responses come before the response, but never a 101") {
    Waiting waiting;
    ResponseHead head;
    for (const std::uint16_t status : {std::uint16_t{103}, std::uint16_t{101}, std::uint16_t{100}}) {
        head.status = status;
        head.fields = {{.name = "Link", .value = "</a>", .known = Name::other}};
        waiting.session.inform(1, head);
    }
    waiting.respond(1, 200);
    waiting.session.inform(1, head);
    waiting.read();
    CHECK(joined(waiting.sent.frames) ==
          "HEADERS 1 [:status=103][link=</a>]\nHEADERS 1 [:status=100][link=</a>]\n"
          "HEADERS 1 [:status=200][content-length=0] END\n");
}

TEST_CASE("A 101 is the 200 of an extended CONNECT") {
    const std::string switched =
        "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n"
        "Sec-WebSocket-Protocol: chat\r\n\r\n";
    Waiting waiting(h2::websocket(), h2::kNoFlag);
    ResponseParser parser({});
    REQUIRE(parser.parse(switched, 0, Method::get, true).state == HeadState::complete);
    TestSource source("frames", false);
    waiting.session.respond(1, parser.head(), {}, false, {}, &source);
    waiting.read();
    source.end();
    waiting.session.resume(1);
    waiting.read();
    CHECK(joined(waiting.sent.frames) ==
          "HEADERS 1 [:status=200][sec-websocket-protocol=chat]\nDATA 1 frames\nDATA 1  END\n");
    CHECK(waiting.events.empty());  // its other direction is open
    waiting.send(h2::data(1, "bye", h2::kEndStream));
    CHECK(joined(waiting.events) == "data 1 bye\nend 1 \nclosed 1 0\n");

    Waiting refused(h2::websocket(), h2::kNoFlag);
    CHECK(refused.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") ==
          "HEADERS 1 [:status=502][content-length=0] END\n");
    Waiting forbidden(h2::websocket(), h2::kNoFlag);
    CHECK(forbidden.answer("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n") ==
          "HEADERS 1 [:status=403][content-length=0] END\n");
}

TEST_CASE("A body comes as its source has it") {
    Waiting waiting;
    TestSource source("hello ", false);
    waiting.respond(1, 200, &source);
    waiting.read();
    CHECK(joined(waiting.sent.frames) == "HEADERS 1 [:status=200]\nDATA 1 hello \n");
    CHECK(!waiting.session.has_output());
    waiting.session.resume(1);
    waiting.read();
    CHECK(waiting.sent.frames.size() == 2);
    source.add("world");
    source.end();
    waiting.session.resume(1);
    waiting.read();
    CHECK(joined(waiting.sent.frames) == "HEADERS 1 [:status=200]\nDATA 1 hello \nDATA 1 world END\n");
    CHECK(joined(waiting.events) == "closed 1 0\n");
}

TEST_CASE("Trailers follow the last byte") {
    Waiting waiting;
    TestSource source("x");
    source.end("X-Sum: 1\r\nb: \r\n");
    waiting.respond(1, 200, &source);
    waiting.read();
    CHECK(joined(waiting.sent.frames) == "HEADERS 1 [:status=200]\nDATA 1 x\nHEADERS 1 [x-sum=1][b=] END\n");
    Waiting late;
    TestSource slow("x", false);
    late.respond(1, 200, &slow);
    late.read();
    slow.end("a: b\r\n");
    late.session.resume(1);
    late.read();
    CHECK(joined(late.sent.frames) == "HEADERS 1 [:status=200]\nDATA 1 x\nHEADERS 1 [a=b] END\n");
    CHECK(joined(late.events) == "closed 1 0\n");
}

TEST_CASE("A stream whose window is shut does not stop another") {
    Peer peer;
    REQUIRE(peer.send(h2::preface() + h2::window_update(0, 1 << 30)));
    REQUIRE(peer.send(peer.encoder.headers(1, h2::get())));
    REQUIRE(peer.send(peer.encoder.headers(3, h2::get()) + h2::window_update(3, 1 << 30)));
    TestSource stalled(std::string(1 << 20, 'a'));
    TestSource flowing(std::string(4 << 20, 'b'));
    peer.respond(1, 200, &stalled);
    peer.respond(3, 200, &flowing);
    CHECK(peer.session.window(1) == 65535);
    CHECK(peer.session.window(3) > 4 << 20);
    peer.read();
    CHECK(peer.sent.data[1] == 65535);
    CHECK(peer.sent.data[3] == 4 << 20);
    CHECK(peer.session.window(1) == 0);
    CHECK(peer.events.back() == "closed 3 0");
    peer.send(h2::window_update(1, 1 << 20));
    CHECK(peer.sent.data[1] == 1 << 20);
    CHECK(peer.events.back() == "closed 1 0");
}

TEST_CASE("What is produced is no more than is enough, and goes on where it stopped") {
    Peer peer;
    REQUIRE(peer.send(h2::preface() + h2::window_update(0, 1 << 30)));
    REQUIRE(peer.send(peer.encoder.headers(1, h2::get()) + h2::window_update(1, 1 << 30)));
    TestSource source(std::string(1 << 20, 'a'));
    peer.respond(1, 200, &source);
    palier::base::Buffer out;
    peer.session.produce(out, 64 * 1024, peer);
    CHECK(out.size() >= 64 * 1024);
    CHECK(out.size() < 64 * 1024 + 16 * 1024 + 9);
    const int taken = source.taken;
    peer.session.produce(out, 64 * 1024, peer);
    CHECK(source.taken == taken);
    CHECK(peer.session.has_output());
    peer.sent.read(out.view());
    peer.read(20'000);
    CHECK(peer.sent.data[1] == 1 << 20);
    CHECK(peer.events.back() == "closed 1 0");
}

TEST_CASE("A client whose response is complete is told to send no more") {
    Waiting waiting(h2::post(), h2::kNoFlag);
    waiting.respond(1, 403);
    waiting.read();
    CHECK(joined(waiting.sent.frames) == "HEADERS 1 [:status=403][content-length=0] END\nRESET 1 0\n");
    CHECK(joined(waiting.events) == "closed 1 0\n");
    CHECK(waiting.send(h2::data(1, "more", h2::kEndStream)));
    CHECK(joined(waiting.events) == "closed 1 0\n");
    CHECK(waiting.session.flood() == H2Flood::none);
}

TEST_CASE("A source is not waiting after a reset, by either side") {
    for (const bool ours : {true, false}) {
        Waiting waiting;
        TestSource source("x", false);
        waiting.respond(1, 200, &source);
        waiting.read();
        source.add("y");
        waiting.session.resume(1);
        if (ours) {
            waiting.session.reset(1, H2Error::internal_error);
        } else {
            CHECK(waiting.take(h2::reset(1)));
        }
        waiting.read();
        CHECK(source.taken == 1);
        CHECK(waiting.events.size() == 1);
        CHECK(waiting.sent.frames.back() == (ours ? "RESET 1 2" : "DATA 1 x"));
    }
}
