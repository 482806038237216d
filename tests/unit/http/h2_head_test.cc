// Heads of HTTP/2: what becomes of a header block, however it is cut.
#include "h2_peer.h"

using namespace palier::http;
using namespace palier::http::test;

namespace {

const std::string kMalformed = "RESET 1 1\n";

std::string refusal_of(unsigned status) {
    return "refused 1 " + std::to_string(status) + "\n";
}

/// A request of Fields with one of them replaced, or left out where `value` is null.
Fields with(std::string_view name, const char* value) {
    Fields fields;
    for (const auto& field : h2::get()) {
        if (field.first != name) {
            fields.push_back(field);
        } else if (value != nullptr) {
            fields.emplace_back(field.first, value);
        }
    }
    return fields;
}

}  // namespace

TEST_CASE("A head of HTTP/2 is the one that HTTP/1 would have made") {
    CHECK(h2_request(h2::get({{"accept", "*/*"}, {"x-y", "a\tb \xc3\xa9"}}, "/a?b=c")) ==
          "request 1 GET /a?b=c 1.1 authority=h host=h body=none persists [accept=*/*][x-y=a\tb \xc3\xa9]\n");
    CHECK(h2_request(
              {{":path", "/"}, {":authority", "[::1]:8443"}, {":method", "HEAD"}, {":scheme", "http"}}) ==
          "request 1 HEAD / 1.1 authority=[::1]:8443 host=[::1] body=none persists \n");
    CHECK(h2_request({{":path", "*"}, {":authority", "h"}, {":method", "OPTIONS"}, {":scheme", "https"}}) ==
          "request 1 OPTIONS * 1.1 authority=h host=h body=none persists \n");
    CHECK(h2_request({{":path", "/"}, {":authority", "h"}, {":method", "BREW"}, {":scheme", "https"}}) ==
          "request 1 BREW / 1.1 authority=h host=h body=none persists \n");
}

TEST_CASE("Pseudo-header fields come once each, first, and all of them") {
    for (const char* name : {":method", ":scheme", ":path"}) {
        CHECK(h2_request(with(name, nullptr)) == kMalformed);
        CHECK(h2_request(with(name, "")) == kMalformed);
    }
    for (const auto& field : h2::get()) {
        Fields twice = h2::get();
        twice.push_back(field);
        CHECK(h2_request(twice) == kMalformed);
        Fields late = with(field.first, nullptr);
        late.emplace_back("accept", "*/*");
        late.push_back(field);
        CHECK(h2_request(late) == kMalformed);
    }
    Fields unknown = h2::get();
    unknown.emplace_back(":status", "200");
    CHECK(h2_request(unknown) == kMalformed);
    unknown.back() = {":version", "2"};
    CHECK(h2_request(unknown) == kMalformed);
    unknown.back() = {":", "2"};
    CHECK(h2_request(unknown) == kMalformed);
    unknown.back() = {":protocol", "websocket"};
    CHECK(h2_request(unknown) == kMalformed);
}

TEST_CASE("A path begins with a slash, or is the asterisk of OPTIONS") {
    for (const char* path :
         {"a", "*", "http://h/", "?a", "/a b", "/a\tb", "/a\x7f", "/a\x01", "//h/../a b"}) {
        CHECK(h2_request(with(":path", path)) == kMalformed);
    }
    CHECK(h2_request(with(":path", "//a")).starts_with("request 1 GET //a "));
    CHECK(h2_request({{":path", "**"}, {":authority", "h"}, {":method", "OPTIONS"}, {":scheme", "https"}}) ==
          kMalformed);
}

TEST_CASE("Methods are tokens and schemes are those of HTTP") {
    for (const char* method : {"GE T", "GET\r\n", "G:T", " GET", "G\xc3\xa9T"})
        CHECK(h2_request(with(":method", method)) == kMalformed);
    for (const char* scheme : {"ftp", "httpx", "h", "https ", "http:"})
        CHECK(h2_request(with(":scheme", scheme)) == kMalformed);
    CHECK(h2_request(with(":scheme", "HTTPS")).starts_with("request 1"));
}

TEST_CASE("Authority and Host are valid and agree") {
    CHECK(h2_request(with(":authority", nullptr)) == kMalformed);
    for (const char* authority : {"", "u@h", "u:p@h", "h:", "h:99999", "h h", "h/", "[::1", "h,g", "h\x01",
                                  "h%41", "h:80:90", "\xc3\xa9"}) {
        INFO(authority);
        CHECK(h2_request(with(":authority", authority)) == kMalformed);
        Fields host = with(":authority", nullptr);
        host.emplace_back("host", authority);
        CHECK(h2_request(host) == kMalformed);
    }
    Fields host = with(":authority", nullptr);
    host.emplace_back("host", "g:81");
    CHECK(h2_request(host) == "request 1 GET / 1.1 authority=g:81 host=g body=none persists [host=g:81]\n");
    host.emplace_back("host", "g:81");
    CHECK(h2_request(host) == kMalformed);
    CHECK(h2_request(h2::get({{"host", "H"}})).starts_with("request 1 GET / 1.1 authority=h host=h "));
    CHECK(h2_request(h2::get({{"host", "g"}})) == kMalformed);
    CHECK(h2_request(h2::get({{"host", "h:443"}})) == kMalformed);
    CHECK(h2_request(h2::get({{"host", "h"}, {"host", "g"}})) == kMalformed);
}

TEST_CASE("Names are lower-case tokens, values without control characters or blanks around") {
    for (const char* name : {"", "X", "aB", "a b", "a:", "a\r\nb", "\xc3\xa9", "a\x7f", "a(b", "a "})
        CHECK(h2_request(h2::get({{name, "v"}})) == kMalformed);
    CHECK(h2_request(h2::get({{std::string("a\0b", 3), "v"}})) == kMalformed);
    for (const char* value :
         {" v", "v ", "\tv", "v\t", "a\rb", "a\nb", "a\r\nb: c", "a\x01", "a\x7f", "a\x1f"})
        CHECK(h2_request(h2::get({{"a", value}})) == kMalformed);
    CHECK(h2_request(h2::get({{"a", std::string("v\0w", 3)}})) == kMalformed);
    CHECK(h2_request(h2::get({{"a", ""}, {"a_b!", "v"}})).ends_with("[a=][a_b!=v]\n"));
}

TEST_CASE("Connection-specific fields are a stream error") {
    for (const char* name :
         {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"}) {
        CHECK(h2_request(h2::get({{name, "x"}})) == kMalformed);
        CHECK(h2_request(h2::get({{name, ""}})) == kMalformed);
    }
    CHECK(h2_request(h2::get({{"te", "gzip"}})) == kMalformed);
    CHECK(h2_request(h2::get({{"te", "trailers, gzip"}})) == kMalformed);
    CHECK(h2_request(h2::get({{"te", "trailers"}})).ends_with("[te=trailers]\n"));
}

TEST_CASE("A Content-Length is one number") {
    for (const char* length : {"", "+1", "-1", "1 ", "1,1", "0x1", "9223372036854775808", "1e3"})
        CHECK(h2_request(h2::post({{"content-length", length}}), h2::kNoFlag) == kMalformed);
    CHECK(h2_request(h2::post({{"content-length", "1"}, {"content-length", "1"}}), h2::kNoFlag) ==
          kMalformed);
    CHECK(h2_request(h2::post({{"content-length", "1"}})) == kMalformed);
    CHECK(h2_request(h2::post({{"content-length", "0"}})) ==
          "request 1 POST / 1.1 authority=h host=h body=length:0 persists [content-length=0]\n");
    CHECK(h2_request(h2::post({{"content-length", "7"}}), h2::kNoFlag) ==
          "request 1 POST / 1.1 authority=h host=h body=length:7 persists [content-length=7]\n");
    CHECK(h2_request(h2::post(), h2::kNoFlag) ==
          "request 1 POST / 1.1 authority=h host=h body=chunked persists \n");
}

TEST_CASE("100-continue is the only expectation, and needs a body") {
    CHECK(h2_request(h2::post({{"expect", "100-continue"}}), h2::kNoFlag) ==
          "request 1 POST / 1.1 authority=h host=h body=chunked persists expects [expect=100-continue]\n");
    CHECK(h2_request(h2::get({{"expect", "100-Continue"}})).find(" expects ") == std::string::npos);
    CHECK(h2_request(h2::get({{"expect", "tea"}})) == refusal_of(417));
}

TEST_CASE("CONNECT is refused, for nothing stands behind it") {
    CHECK(h2_request({{":method", "CONNECT"}, {":authority", "h:443"}}) == refusal_of(405));
    CHECK(h2_request({{":method", "CONNECT"}, {":authority", "h:443"}}, h2::kNoFlag, h2::data(1, "bytes")) ==
          refusal_of(405));
    CHECK(h2_request({{":method", "CONNECT"}, {":authority", "h:443"}, {":path", "/"}}) == kMalformed);
    CHECK(h2_request({{":method", "CONNECT"}}) == kMalformed);
    CHECK(h2_request({{":method", "CONNECT"}, {":authority", "h"}, {"connection", "x"}}) == kMalformed);
}

TEST_CASE("Cookie crumbs become one field where the first was") {
    CHECK(h2_request(h2::get({{"a", "1"}, {"cookie", "b=2"}, {"cookie", "c=3"}, {"cookie", "d"}, {"e", "4"}}))
              .ends_with(" [a=1][cookie=b=2; c=3; d][e=4]\n"));
    CHECK(h2_request(h2::get({{"cookie", "b=2"}, {"a", "1"}, {"cookie", "c=3"}, {"e", "4"}, {"cookie", "d"}}))
              .ends_with(" [cookie=b=2; c=3; d][a=1][e=4]\n"));
    CHECK(h2_request(h2::get({{"cookie", "a"}, {"cookie", "b"}, {"x", "1"}, {"cookie", "c"}, {"cookie", ""}}))
              .ends_with(" [cookie=a; b; c; ][x=1]\n"));
}

TEST_CASE("A head over the limits is answered, one far beyond ends the connection") {
    const H2Limits limits{.head = {.size = 400, .fields = 8}};
    const auto request = [&limits](const Fields& more) {
        return h2_request(h2::get(more), h2::kEndStream, {}, limits);
    };
    const std::string calm = "GOAWAY 1 11\n" + std::string(text_of(H2Flood::continuations)) + "\n";
    CHECK(request({{"a", std::string(200, 'x')}}).starts_with("request 1"));
    CHECK(request({{"a", std::string(400, 'x')}}) == refusal_of(431));
    CHECK(request({{"a", std::string(1000, 'x')}, {"b", "c"}}) == refusal_of(431));
    CHECK(request({{"a", std::string(2000, 'x')}}) == calm);
    CHECK(request(Fields(8, {"a", "b"})).starts_with("request 1"));
    CHECK(request(Fields(9, {"a", "b"})) == refusal_of(431));
    CHECK(request(Fields(33, {"a", "b"})) == calm);
    CHECK(request(Fields(8, {"cookie", "b"})).ends_with("[cookie=b; b; b; b; b; b; b; b]\n"));
    CHECK(request(Fields(9, {"cookie", "b"})) == refusal_of(431));
}

TEST_CASE("What was not stored of a head keeps the header table in step") {
    const H2Limits limits{.head = {.size = 400, .fields = 8}};
    Encoder encoder;
    std::string bytes =
        encoder.headers(1, h2::get({{"long", std::string(300, 'x')}, {"after", "1"}, {"z", "z"}}));
    bytes += encoder.headers(3, h2::get({{"after", "1"}, {"z", "z"}}));
    CHECK(h2_outcome(bytes, limits)
              .ends_with("request 3 GET / 1.1 authority=h host=h body=none persists "
                         "[after=1][z=z]\n"));
}

TEST_CASE("A request in many CONTINUATION frames, up to a number") {
    Encoder encoder;
    const std::string block = encoder.block(h2::get({{"a", "b"}}));
    std::string bytes = h2::frame(h2::kHeaders, h2::kEndStream, 1, block.substr(0, 1));
    for (std::size_t i = 1; i + 1 < block.size() && i < 8; ++i)
        bytes += h2::frame(h2::kContinuation, h2::kNoFlag, 1, block.substr(i, 1));
    bytes += h2::frame(h2::kContinuation, h2::kEndHeaders, 1, block.substr(8));
    CHECK(h2_outcome(bytes).starts_with("request 1 GET / "));

    bytes = h2::frame(h2::kHeaders, h2::kEndStream, 1, block);
    for (int i = 0; i < 11; ++i)
        bytes += h2::frame(h2::kContinuation, h2::kNoFlag, 1);
    CHECK(h2_outcome(bytes) == "GOAWAY 1 11\n" + std::string(text_of(H2Flood::continuations)) + "\n");
}

TEST_CASE("WebSocket over HTTP/2 is the upgrade of HTTP/1.1") {
    const std::string head =
        "request 1 GET /chat 1.1 authority=h host=h body=none persists upgrade=websocket "
        "[sec-websocket-version=13]";
    std::string outcome;
    {
        Peer peer;
        peer.start();
        peer.request = [&](std::int32_t, const RequestHead& request) {
            CHECK(request.method == Method::get);
            CHECK(request.method_token == "GET");
            const Field& key = request.fields.back();
            CHECK(key.name == "sec-websocket-key");
            CHECK(key.value.size() == 24);
            CHECK(key.value.ends_with("=="));
            CHECK(key.value != "c2VjcmV0IGtleSBvZiB0ZXN0cw==");
        };
        peer.send(peer.encoder.headers(1,
                                       h2::websocket({{"sec-websocket-version", "13"},
                                                      {"sec-websocket-key", "c2VjcmV0IGtleSBvZiB0ZXN0cw=="}}),
                                       h2::kNoFlag));
        peer.send(h2::data(1, "frames"));
        peer.send(h2::data(1, "", h2::kEndStream));
        REQUIRE(peer.events.size() == 3);
        CHECK(peer.events[0].starts_with(head + "[sec-websocket-key="));
        CHECK(peer.events[1] == "data 1 frames");
        CHECK(peer.events[2] == "end 1 ");
    }
    Fields other = h2::websocket();
    other[1].second = "connect-udp";
    CHECK(h2_request(other, h2::kNoFlag) == refusal_of(405));
    CHECK(h2_request(h2::websocket({{"content-length", "0"}}), h2::kNoFlag) == kMalformed);
    Fields lonely = h2::websocket();
    lonely.erase(lonely.begin() + 4);
    CHECK(h2_request(lonely, h2::kNoFlag) == kMalformed);
}
