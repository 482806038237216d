// A session's life: settings, what the receiver is told when streams end early, how the connection ends.
#include "h2_peer.h"

using namespace palier::http;
using namespace palier::http::test;

TEST_CASE("A session begins with its SETTINGS and opens its windows") {
    Peer peer;
    peer.read();
    CHECK(joined(peer.sent.frames) == "SETTINGS\nWINDOW_UPDATE 0 4128769\n");
    peer.send(h2::preface());
    CHECK(peer.sent.frames.back() == "SETTINGS ACK");
    peer.send(h2::ping());
    CHECK(peer.sent.frames.back() == "PING ACK");
}

TEST_CASE("What is not HTTP/2 is turned away") {
    for (const char* bytes : {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n"}) {
        Peer peer;
        CHECK(!peer.send(bytes));
        CHECK(peer.sent.frames.back() == "GOAWAY 0 1");
        CHECK(peer.session.finished());
        CHECK(peer.session.flood() == H2Flood::none);
    }
    Peer peer;
    peer.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2::ping());
    CHECK(peer.sent.frames.back() == "GOAWAY 0 1");
    CHECK(peer.session.finished());
    CHECK(!peer.send(h2::settings()));
}

TEST_CASE("Frames that no server takes end the connection") {
    for (const std::string& bytes :
         {h2::frame(h2::kPushPromise, h2::kEndHeaders, 1, h2::number(2, 4)),
          h2::frame(h2::kContinuation, 4, 1, ""), h2::frame(h2::kPing, 0, 0, "short"),
          h2::frame(h2::kReset, 0, 1, "1234"), h2::window_update(0, 0),
          h2::frame(h2::kData, 0, 1, std::string(16385, 'x')), h2::frame(h2::kSettings, 0, 1),
          h2::frame(h2::kHeaders, 5, 2, "\x82"), h2::frame(h2::kHeaders, 5, 0, "\x82"),
          h2::frame(h2::kHeaders, 5, 1, "\xff\xff\xff\xff\xff\xff"),
          h2::frame(h2::kPriority, 0, 1, "1234")}) {
        Peer peer;
        peer.start();
        peer.send(bytes);
        CHECK(peer.sent.count("GOAWAY") == 1);
        CHECK(peer.session.finished());
        CHECK(!peer.send(h2::ping()));
    }
}

TEST_CASE("Frames of unknown types are nothing") {
    Peer peer;
    peer.start();
    CHECK(peer.send(h2::frame(0xb, 0xff, 0, "grease") + h2::frame(0xfa, 0, 7) +
                    h2::frame(h2::kPriorityUpdate, 0, 0, h2::number(1, 4) + "u=1")));
    CHECK(peer.sent.frames.empty());
    CHECK(peer.send(peer.encoder.headers(1, h2::get({{"priority", "u=0, i"}}))));
    CHECK(peer.events.size() == 1);
}

TEST_CASE("More streams than may run at a time are refused") {
    Peer peer({.head = {}, .streams = 2});
    CHECK(peer.send(h2::preface()));  // which does not acknowledge our SETTINGS yet
    for (const std::uint32_t stream : {1U, 3U, 5U})
        CHECK(peer.send(peer.encoder.headers(stream, h2::get())));
    CHECK(peer.sent.frames.back() == "RESET 5 7");
    CHECK(peer.events.size() == 2);
    peer.respond(1, 200);
    peer.read();
    CHECK(peer.send(peer.encoder.headers(7, h2::get())));
    CHECK(peer.events.back().starts_with("request 7 "));
    CHECK(peer.send(h2::frame(h2::kSettings, h2::kAck, 0)));
    peer.send(peer.encoder.headers(9, h2::get()));
    CHECK(peer.sent.frames.back() == "GOAWAY 7 1");
}

TEST_CASE("A request that its client takes back at once is not heard of") {
    Peer peer;
    peer.start();
    CHECK(peer.send(peer.encoder.headers(1, h2::post(), h2::kNoFlag) + h2::data(1, "x") + h2::reset(1)));
    CHECK(peer.events.empty());
    CHECK(peer.send(peer.encoder.headers(3, h2::get())));
    CHECK(peer.send(h2::reset(3)));
    REQUIRE(peer.events.size() == 2);
    CHECK(peer.events.back() == "closed 3 8");
}

TEST_CASE("No more requests are begun in one input than may run, even when they are reset") {
    Peer peer({.head = {}, .streams = 4});
    peer.start();
    std::string bytes;
    for (std::uint32_t stream = 1; stream < 21; stream += 2)
        bytes += peer.encoder.headers(stream, h2::get()) + h2::reset(stream);
    CHECK(peer.take(bytes));
    peer.read();
    CHECK(peer.events.empty());
    CHECK(peer.sent.count("RESET") == 6);  // refused; nobody looks whether their client has reset them
    peer.sent.frames.clear();

    bytes.clear();
    for (std::uint32_t stream = 21; stream < 29; stream += 2) {
        bytes += peer.encoder.headers(stream, h2::get());
        if (stream < 25) bytes += h2::reset(stream);
    }
    bytes += peer.encoder.headers(29, h2::get());
    bytes += peer.encoder.headers(31, h2::get());
    CHECK(peer.take(bytes));
    peer.read();
    CHECK(peer.events.size() == 2);
    CHECK(peer.events[0].starts_with("request 25 "));
    CHECK(peer.events[1].starts_with("request 27 "));
    CHECK(joined(peer.sent.frames) == "RESET 29 7\nRESET 31 7\n");
    CHECK(peer.send(peer.encoder.headers(33, h2::get())));
    CHECK(peer.events.back().starts_with("request 33 "));
}

TEST_CASE("A stream that the receiver resets says no more, but that it is closed") {
    Peer peer;
    peer.start();
    peer.request = [&](std::int32_t stream, const RequestHead&) {
        peer.session.reset(stream, H2Error::cancel);
    };
    CHECK(peer.take(peer.encoder.headers(1, h2::post(), h2::kNoFlag) + h2::data(1, "x") +
                    h2::data(1, "y", h2::kEndStream)));
    CHECK(peer.events.size() == 1);
    peer.read();
    CHECK(peer.events.back() == "closed 1 8");
    CHECK(joined(peer.sent.frames) == "RESET 1 8\n");

    // Its client's reset is already there, behind other events.
    peer.request = nullptr;
    CHECK(peer.take(peer.encoder.headers(3, h2::post(), h2::kNoFlag)));
    peer.events.clear();
    peer.data = [&](std::int32_t stream, std::string_view) { peer.session.reset(stream, H2Error::cancel); };
    CHECK(peer.take(h2::data(3, "x") + h2::data(3, "y") + h2::reset(3)));
    CHECK(joined(peer.events) == "data 3 x\nclosed 3 8\n");
}

TEST_CASE("The receiver may answer, and end the connection, while it is told") {
    Peer peer;
    peer.start();
    peer.request = [&](std::int32_t stream, const RequestHead&) { peer.respond(stream, 200); };
    std::string two = peer.encoder.headers(1, h2::get());
    CHECK(peer.send(two + peer.encoder.headers(3, h2::get())));
    CHECK(joined(peer.sent.frames) ==
          "HEADERS 1 [:status=200][content-length=0] END\nHEADERS 3 [:status=200][content-length=0] END\n");
    CHECK(peer.open.empty());

    peer.events.clear();
    peer.request = [&](std::int32_t, const RequestHead&) { peer.session.terminate(H2Error::internal_error); };
    two = peer.encoder.headers(5, h2::get());
    CHECK(!peer.send(two + peer.encoder.headers(7, h2::get())));
    CHECK(peer.events.size() == 1);
    CHECK(peer.sent.frames.back() == "GOAWAY 7 2");
    CHECK(peer.session.finished());
}

TEST_CASE("Calls for streams that are no more do nothing") {
    Peer peer;
    peer.start();
    peer.respond(1, 200);
    peer.session.resume(1);
    peer.session.reset(1, H2Error::cancel);
    peer.session.consume(1, 10);
    peer.session.inform(1, {});
    CHECK(peer.session.window(1) == 0);
    CHECK(!peer.session.has_output());
}

TEST_CASE("A graceful end lets streams finish and loses none on their way") {
    Peer peer;
    peer.start();
    peer.send(peer.encoder.headers(1, h2::get()));
    peer.session.go_away();
    peer.read();
    CHECK(joined(peer.sent.frames) == "GOAWAY 2147483647 0\nPING shutdown\n");
    CHECK(peer.send(peer.encoder.headers(3, h2::get())));  // sent before the client knew
    CHECK(peer.events.size() == 2);
    CHECK(peer.send(h2::ping(h2::kAck, "shutdown")));
    CHECK(peer.sent.frames.back() == "GOAWAY 3 0");
    CHECK(peer.send(peer.encoder.headers(5, h2::get())));
    CHECK(peer.events.size() == 2);
    CHECK(!peer.session.finished());
    peer.respond(1, 200);
    peer.respond(3, 200);
    peer.read();
    CHECK(peer.open.empty());
    CHECK(peer.session.finished());
}

TEST_CASE("A graceful end does not wait for a client that is silent") {
    Peer peer;
    peer.start();
    peer.session.go_away();
    peer.read();
    CHECK(!peer.session.finished());
    peer.session.go_away();
    peer.session.go_away();
    peer.read();
    CHECK(joined(peer.sent.frames) == "GOAWAY 2147483647 0\nPING shutdown\nGOAWAY 0 0\n");
    CHECK(peer.session.finished());
}

TEST_CASE("A client that says goodbye is let go when its streams have ended") {
    Peer peer;
    peer.start();
    peer.send(peer.encoder.headers(1, h2::get()));
    CHECK(peer.send(h2::frame(h2::kGoAway, 0, 0, h2::number(0, 8))));
    CHECK(!peer.session.finished());
    peer.respond(1, 200);
    peer.read();
    CHECK(peer.session.finished());
}

TEST_CASE("A session may be destroyed with streams open") {
    Peer peer;
    auto session = std::make_unique<H2Session>(peer.workspace, H2Limits{});
    REQUIRE(session->receive(h2::preface() + peer.encoder.headers(1, h2::post(), h2::kNoFlag), 1, peer));
    TestSource source("x", false);
    ResponseHead head;
    head.status = 200;
    session->respond(1, head, {}, false, {}, &source);
    const std::size_t events = peer.events.size();
    session.reset();
    CHECK(peer.events.size() == events);
}

TEST_CASE("A large head of a response goes out in several frames") {
    Peer peer;
    peer.start();
    peer.send(peer.encoder.headers(1, h2::get()));
    const std::string value(100'000, '\xff');
    ResponseHead head;
    head.status = 200;
    head.fields = {{.name = "X", .value = value}};
    peer.session.respond(1, head, {}, false, {}, nullptr);
    palier::base::Buffer out;
    peer.session.produce(out, 1 << 20, peer);
    CHECK(out.size() > value.size());
    CHECK(peer.events.back() == "closed 1 0");
}
