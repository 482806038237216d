// Bodies that come in: pieces, ends, trailers, lengths, and the windows that hold them back.
#include "h2_peer.h"

using namespace palier::http;
using namespace palier::http::test;

namespace {

const std::string kPost = "request 1 POST / 1.1 authority=h host=h body=";

std::string after_head(const std::string& outcome) {
    return outcome.substr(outcome.find('\n') + 1);
}

/// What follows the head of a POST with `more` fields that goes on as `bytes`.
std::string body(const Fields& more, std::string_view bytes) {
    return after_head(h2_request(h2::post(more), h2::kNoFlag, bytes));
}

}  // namespace

TEST_CASE("A body's pieces and its end") {
    CHECK(body({}, h2::data(1, "hello ") + h2::data(1, "world") + h2::data(1, "", h2::kEndStream)) ==
          "data 1 hello world\nend 1 \n");
    CHECK(body({}, h2::data(1, "hello", h2::kEndStream)) == "data 1 hello\nend 1 \n");
    CHECK(body({}, h2::data(1, "", h2::kEndStream)) == "end 1 \n");
    CHECK(body({}, h2::padded_data(1, "hello", 9, h2::kEndStream)) == "data 1 hello\nend 1 \n");
    CHECK(body({}, h2::padded_data(1, "", 200) + h2::data(1, "x", h2::kEndStream)) == "data 1 x\nend 1 \n");
}

TEST_CASE("A body is as long as its Content-Length") {
    const Fields seven{{"content-length", "7"}};
    CHECK(body(seven, h2::data(1, "1234567", h2::kEndStream)) == "data 1 1234567\nend 1 \n");
    CHECK(body(seven, h2::data(1, "123") + h2::data(1, "4567") + h2::data(1, "", h2::kEndStream)) ==
          "data 1 1234567\nend 1 \n");
    CHECK(body(seven, h2::padded_data(1, "1234567", 3, h2::kEndStream)) == "data 1 1234567\nend 1 \n");

    const std::string failed = "closed 1 1\nRESET 1 1\n";
    CHECK(body(seven, h2::data(1, "12345678")) == failed);
    CHECK(body(seven, h2::data(1, "123") + h2::data(1, "45678")) == "data 1 123\n" + failed);
    CHECK(body(seven, h2::data(1, "123", h2::kEndStream)) == failed);
    CHECK(body(seven, h2::data(1, "1234567") + h2::data(1, "8", h2::kEndStream)) ==
          "data 1 1234567\n" + failed);
    CHECK(body(seven, h2::data(1, "", h2::kEndStream)) == failed);
    CHECK(body(seven, h2::padded_data(1, "123", 5) + h2::data(1, "", h2::kEndStream)) ==
          "data 1 123\n" + failed);
    CHECK(body({{"content-length", "0"}}, h2::data(1, "x", h2::kEndStream)) == failed);
    CHECK(body({{"content-length", "0"}}, h2::data(1, "", h2::kEndStream)).empty());
}

TEST_CASE("A body that is too long is known before all of its frame is there") {
    Peer peer;
    peer.start();
    peer.take(peer.encoder.headers(1, h2::post({{"content-length", "7"}}), h2::kNoFlag));
    peer.take(h2::data(1, "12345678").substr(0, 12));
    CHECK(peer.events.back() == "closed 1 1");
    peer.read();
    CHECK(joined(peer.sent.frames) == "RESET 1 1\n");
}

TEST_CASE("Trailers are fields that are checked, and dropped where they could mislead") {
    const auto with_trailers = [](const Fields& trailers, unsigned flags = h2::kEndStream,
                                  const H2Limits& limits = {}) {
        Encoder own;
        std::string bytes = own.headers(1, h2::post(), h2::kNoFlag) + h2::data(1, "x");
        return after_head(h2_outcome(bytes + own.headers(1, trailers, flags), limits));
    };
    CHECK(with_trailers({{"x-checksum", "abc"}, {"b", ""}}) ==
          "data 1 x\nend 1 x-checksum: abc\r\nb: \r\n\n");
    CHECK(with_trailers({}) == "data 1 x\nend 1 \n");
    CHECK(with_trailers({{"host", "g"},
                         {"x-forwarded-for", "1.2.3.4"},
                         {"cookie", "a=b"},
                         {"x_a", "b"},
                         {"authorization", "x"},
                         {"content-type", "x"},
                         {"ok", "1"}}) == "data 1 x\nend 1 ok: 1\r\n\n");
    const std::string failed = "data 1 x\nclosed 1 1\nRESET 1 1\n";
    for (const char* name : {":path", "Upper", "connection", "transfer-encoding", "a b", ""})
        CHECK(with_trailers({{name, "x"}}) == failed);
    CHECK(with_trailers({{"a", "b\r\nc: d"}}) == failed);
    CHECK(with_trailers({{"content-length", "2"}}) == failed);
    CHECK(with_trailers({{"a", "b"}}, h2::kNoFlag) == failed);
    const H2Limits few{.head = {.size = 200, .fields = 6}};
    CHECK(with_trailers({{"a", std::string(300, 'x')}}, h2::kEndStream, few) ==
          "data 1 x\nclosed 1 11\nRESET 1 11\n");
}

TEST_CASE("What a stream holds back stops that stream alone") {
    Peer peer;
    peer.start();
    constexpr std::size_t kWindow = 128 * 1024;
    const std::string piece(16 * 1024, 'x');
    peer.send(peer.encoder.headers(1, h2::post(), h2::kNoFlag));
    for (std::size_t sent = 0; sent < kWindow; sent += piece.size())
        peer.send(h2::data(1, piece));
    CHECK(peer.sent.count("WINDOW_UPDATE 1 ") == 0);  // nothing of it was used

    // Ten megabytes beside it, used at once: more than the connection's window.
    peer.data = [&](std::int32_t stream, std::string_view bytes) {
        peer.session.consume(stream, bytes.size());
    };
    peer.send(peer.encoder.headers(3, h2::post(), h2::kNoFlag));
    for (std::size_t sent = 0; sent < 10 * 1024 * 1024; sent += piece.size())
        REQUIRE(peer.send(h2::data(3, piece)));
    CHECK(peer.sent.count("WINDOW_UPDATE 3 ") > 0);
    CHECK(peer.sent.count("WINDOW_UPDATE 0 ") > 0);
    CHECK(peer.sent.count("RESET") == 0);
    CHECK(peer.sent.count("WINDOW_UPDATE 1 ") == 0);

    peer.session.consume(1, kWindow);
    peer.read();
    CHECK(peer.sent.frames.back() == "WINDOW_UPDATE 1 131072");
}

TEST_CASE("A stream that overflows its window is reset") {
    Peer peer;
    peer.start();
    peer.send(peer.encoder.headers(1, h2::post(), h2::kNoFlag));
    for (int i = 0; i < 8; ++i)
        peer.send(h2::data(1, std::string(16 * 1024, 'x')));
    CHECK(peer.send(h2::data(1, "x")));
    CHECK(peer.sent.frames.back() == "RESET 1 3");
    CHECK(peer.events.back() == "closed 1 3");
}

TEST_CASE("Bytes for streams that are gone, and padding, do not use up the connection's window") {
    Peer peer;
    peer.start();
    peer.send(peer.encoder.headers(1, h2::post(), h2::kNoFlag));
    peer.session.reset(1, H2Error::cancel);
    peer.read();
    const std::string piece(16 * 1024, 'x');
    for (int i = 0; i < 1024; ++i)
        REQUIRE(peer.send(h2::data(1, piece)));
    peer.send(peer.encoder.headers(3, h2::post(), h2::kNoFlag));
    peer.data = [&](std::int32_t stream, std::string_view bytes) {
        peer.session.consume(stream, bytes.size());
    };
    for (int i = 0; i < 30'000; ++i)
        REQUIRE(peer.send(h2::padded_data(3, "x", 255)));
    CHECK(peer.sent.count("GOAWAY") == 0);
    CHECK(peer.send(h2::data(3, "", h2::kEndStream)));
    CHECK(peer.events.back() == "end 3 ");
}

TEST_CASE("DATA where none may be ends the connection") {
    CHECK(h2_outcome(h2::data(1, "x")) == "GOAWAY 0 1\n");
    CHECK(h2_outcome(h2::data(0, "x")) == "GOAWAY 0 1\n");
    Encoder encoder;
    CHECK(h2_outcome(encoder.headers(1, h2::get()) + h2::data(1, "x")).ends_with("\nGOAWAY 1 5\n"));
}
