// Floods: each ends the connection with ENHANCE_YOUR_CALM, and honest clients at full speed do not.
#include "h2_peer.h"

using namespace palier::http;
using namespace palier::http::test;

namespace {

/// How many times `bytes` can be said, up to `most`, before the session gives up for `flood`.
template <typename Bytes>
int patience(Peer& peer, H2Flood flood, int most, Bytes bytes) {
    for (int i = 0; i < most; ++i) {
        if (peer.send(bytes(i))) continue;
        CHECK(peer.session.flood() == flood);
        CHECK(peer.sent.frames.back().starts_with("GOAWAY "));
        CHECK(peer.sent.frames.back().ends_with(" 11"));
        CHECK(peer.session.finished());
        CHECK(!peer.take(h2::ping()));
        return i;
    }
    CHECK(peer.session.flood() == H2Flood::none);
    return most;
}

int patience(H2Flood flood, int most, const std::string& bytes) {
    Peer peer;
    peer.start();
    return patience(peer, flood, most, [&bytes](int) { return bytes; });
}

std::uint32_t stream_of(int i) {
    return static_cast<std::uint32_t>(2 * i + 1);
}

}  // namespace

TEST_CASE("Resets are forgiven to a client that also waits for answers") {
    Peer rude;
    rude.start();
    const int resets = patience(rude, H2Flood::resets, 1000, [&](int i) {
        return rude.encoder.headers(stream_of(i), h2::get()) + h2::reset(stream_of(i));
    });
    CHECK(resets == 200);

    Peer honest;
    honest.start();
    honest.request = [&](std::int32_t stream, const RequestHead&) {
        if (stream % 4 == 1) honest.respond(stream, 200);
    };
    const int both = patience(honest, H2Flood::resets, 5000, [&](int i) {
        std::string bytes = honest.encoder.headers(stream_of(i), h2::get());
        if (i % 2 == 1) bytes += h2::reset(stream_of(i));
        return bytes;
    });
    CHECK(both == 5000);
}

TEST_CASE("Resets of one stream over and over count") {
    Peer peer;
    peer.start();
    peer.send(peer.encoder.headers(1, h2::get()));
    CHECK(patience(peer, H2Flood::resets, 1000, [](int) { return h2::reset(1); }) == 200);
}

TEST_CASE("Resets that a client makes us send count, of any kind") {
    const auto limit = [](auto bytes) {
        Peer peer;
        peer.start();
        return patience(peer, H2Flood::forced_resets, 1000, [&](int i) { return bytes(peer, stream_of(i)); });
    };
    CHECK(limit([](Peer& peer, std::uint32_t stream) {  // a malformed head
              return peer.encoder.headers(stream, h2::get({{"connection", "x"}}));
          }) == 101);
    CHECK(limit([](Peer& peer, std::uint32_t stream) {  // a window that overflows
              return peer.encoder.headers(stream, h2::get()) + h2::window_update(stream, 0x7fffffff);
          }) == 101);
    CHECK(limit([](Peer& peer, std::uint32_t stream) {  // a body that is too long, or too short
              return peer.encoder.headers(stream, h2::post({{"content-length", "1"}}), h2::kNoFlag) +
                     h2::data(stream, stream % 4 == 1 ? "xx" : "", h2::kEndStream);
          }) == 101);
    CHECK(limit([](Peer& peer, std::uint32_t stream) {  // trailers that do not end the stream
              const std::string head = peer.encoder.headers(stream, h2::post(), h2::kNoFlag);
              return head + peer.encoder.headers(stream, {{"a", "b"}}, h2::kNoFlag);
          }) == 101);
}

TEST_CASE("The receiver may blame a client for a reset") {
    for (const bool blame : {true, false}) {
        Peer peer;
        peer.start();
        peer.request = [&](std::int32_t stream, const RequestHead&) {
            peer.session.reset(stream, H2Error::protocol_error, blame);
        };
        CHECK(patience(peer, H2Flood::forced_resets, 500, [&](int i) {
                  return peer.encoder.headers(stream_of(i), h2::get());
              }) == (blame ? 101 : 500));
    }
}

TEST_CASE("A client may open too many streams before it knows, but not for ever") {
    Peer peer({.head = {}, .streams = 1});
    peer.send(h2::preface());
    CHECK(patience(peer, H2Flood::forced_resets, 2000,
                   [&](int i) { return peer.encoder.headers(stream_of(i), h2::get()); }) == 802);
}

TEST_CASE("Frames that cost an answer or nothing but time") {
    CHECK(patience(H2Flood::settings, 1000, h2::settings()) == 48);  // two came with the preface
    CHECK(patience(H2Flood::pings, 1000, h2::ping()) == 200);
    CHECK(patience(H2Flood::priorities, 1000, h2::frame(h2::kPriority, 0, 1, std::string(5, '\0'))) == 300);
    CHECK(patience(H2Flood::priorities, 1000,
                   h2::frame(h2::kPriorityUpdate, 0, 0, h2::number(1, 4) + "u=1")) == 300);
    CHECK(patience(H2Flood::window_updates, 5000, h2::window_update(0, 1)) == 1000);
}

TEST_CASE("Frames without content") {
    Peer peer;
    peer.start();
    peer.send(peer.encoder.headers(1, h2::post(), h2::kNoFlag));
    CHECK(patience(peer, H2Flood::empty_frames, 1000, [](int) { return h2::data(1, ""); }) == 100);
    Peer padded;
    padded.start();
    padded.send(padded.encoder.headers(1, h2::post(), h2::kNoFlag));
    CHECK(patience(padded, H2Flood::empty_frames, 1000, [](int) { return h2::padded_data(1, "", 7); }) ==
          100);
    Peer split;
    split.start();
    CHECK(patience(split, H2Flood::empty_frames, 1000, [&](int i) {
              return h2::frame(h2::kHeaders, h2::kEndStream, stream_of(i)) +
                     h2::frame(h2::kContinuation, h2::kEndHeaders, stream_of(i),
                               split.encoder.block(h2::get()));
          }) <= 100);
}

TEST_CASE("What is forgiven is forgiven again after a while") {
    Peer peer;
    peer.start();
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < 90; ++i)
            REQUIRE(peer.send(h2::ping()));
        peer.now_ms += 10'000;
    }
    CHECK(peer.session.flood() == H2Flood::none);
    peer.now_ms += 3'600'000;
    CHECK(patience(peer, H2Flood::pings, 1000, [](int) { return h2::ping(); }) == 200);
}

TEST_CASE("Answers that a client does not read are not piled up") {
    Peer peer;
    peer.start();
    int taken = 0;
    while (taken < 5000 && peer.take(h2::ping())) {
        ++taken;
        if (taken % 100 == 0) peer.now_ms += 10'000;
    }
    CHECK(peer.session.flood() == H2Flood::queue);
    CHECK(taken == 1000);
    Peer refused({.head = {}, .streams = 1});
    refused.send(h2::preface());
    taken = 0;
    while (taken < 5000 && refused.take(refused.encoder.headers(stream_of(taken), h2::get())))
        ++taken;
    CHECK(refused.session.flood() == H2Flood::queue);
    CHECK(taken == 1001);
}

TEST_CASE("A header bomb is decoded no further than it takes to know it") {
    // One long field in the table, then references of one byte each to it.
    Peer peer;
    peer.start();
    std::string block = peer.encoder.block(h2::get({{"bomb", std::string(3000, 'x')}}));
    block += std::string(1000, '\xbe');
    CHECK(!peer.send(h2::frame(h2::kHeaders, unsigned{h2::kEndStream} | h2::kEndHeaders, 1, block)));
    CHECK(peer.session.flood() == H2Flood::continuations);
    CHECK(peer.events.empty());
    CHECK(peer.sent.frames.back() == "GOAWAY 1 11");
}

TEST_CASE("Clients at full speed are no flood") {
    Peer peer;
    peer.start();
    std::vector<std::unique_ptr<TestSource>> sources;
    peer.request = [&](std::int32_t stream, const RequestHead&) {
        sources.push_back(std::make_unique<TestSource>(std::string(128, 'x')));
        peer.respond(stream, 200, sources.back().get());
    };
    // As the simplest clients do: a WINDOW_UPDATE for the stream and one for the connection for each DATA
    // frame, and a PING to measure the way.
    for (int i = 0; i < 50'000; ++i) {
        const std::uint32_t stream = stream_of(i);
        REQUIRE(peer.send(peer.encoder.headers(stream, h2::get()) + h2::ping() + h2::window_update(0, 128) +
                          h2::window_update(stream, 128)));
        sources.clear();
        peer.sent.frames.clear();
    }
    CHECK(peer.open.empty());
}

TEST_CASE("A large download and a large upload are no flood") {
    Peer peer;
    peer.start();
    peer.data = [&](std::int32_t stream, std::string_view bytes) {
        peer.session.consume(stream, bytes.size());
    };
    TestSource source(std::string(64 << 20, 'x'));
    peer.send(peer.encoder.headers(1, h2::get()));
    peer.send(peer.encoder.headers(3, h2::post(), h2::kNoFlag));
    peer.respond(1, 200, &source);
    const std::string piece(1000, 'y');
    for (int i = 0; i < 20'000; ++i) {
        REQUIRE(peer.send(h2::window_update(0, 4096) + h2::window_update(1, 4096) + h2::data(3, piece)));
        peer.sent.frames.clear();
    }
    CHECK(peer.sent.data[1] == 64 << 20);
}
