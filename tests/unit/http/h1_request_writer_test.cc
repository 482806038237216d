#include "catch.h"
#include "palier/http/h1_parser.h"
#include "palier/http/h1_writer.h"

#include <string>
#include <string_view>

using namespace palier::http;

namespace {

constexpr ClientView kClient{"192.0.2.7", "https", "443", "id1", false};
constexpr ClientView kTrustedClient{"192.0.2.7", "https", "443", "id1", true};
const std::string kOurs =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\nX-Forwarded-Port: "
    "443\r\n"
    "X-Request-Id: id1\r\n\r\n";

std::string written(const std::string& head, const ClientView& client) {
    RequestParser parser({});
    const HeadResult result = parser.parse(head, 0);
    INFO(head);
    REQUIRE(result.state == HeadState::complete);
    palier::base::Buffer out;
    out.append("before");
    write_request_head(out, parser.head(), parser.head().path, parser.head().body, client);
    REQUIRE(out.view().starts_with("before"));
    return std::string(out.view().substr(6));
}

/// What is written of a GET with these lines, between the Host line and the forwarded family that is always
/// there.
std::string lines(const std::string& sent) {
    const std::string text = written("GET / HTTP/1.1\r\nHost: h\r\n" + sent + "\r\n", kClient);
    const std::string begin = "GET / HTTP/1.1\r\nHost: h\r\n";
    REQUIRE(text.starts_with(begin));
    REQUIRE(text.ends_with(kOurs));
    return text.substr(begin.size(), text.size() - begin.size() - kOurs.size());
}

/// The same from a trusted client, with all that follows the Host line.
std::string trusted_lines(const std::string& sent) {
    const std::string text = written("GET / HTTP/1.1\r\nHost: h\r\n" + sent + "\r\n", kTrustedClient);
    const std::string begin = "GET / HTTP/1.1\r\nHost: h\r\n";
    REQUIRE(text.starts_with(begin));
    return text.substr(begin.size());
}

}  // namespace

TEST_CASE("A request is written anew") {
    CHECK(written("POST /a?b HTTP/1.0\r\nAccept:*/*\r\nHost: h:81\r\nX:  y \r\nContent-Length: "
                  "005\r\nEmpty:\r\n\r\n",
                  kClient) ==
          "POST /a?b HTTP/1.1\r\nHost: h:81\r\nAccept: */*\r\nX: y\r\nEmpty: \r\nContent-Length: 5\r\n"
          "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: h:81\r\n"
          "X-Forwarded-Port: 443\r\nX-Request-Id: id1\r\n\r\n");
}

TEST_CASE("Path and framing are the caller's") {
    RequestParser parser({});
    const std::string head = "PUT /a/../b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    REQUIRE(parser.parse(head, 0).state == HeadState::complete);
    const std::string begin = "PUT /b HTTP/1.1\r\nHost: h\r\n";
    const auto with = [&](BodyLength body) {
        palier::base::Buffer out;
        write_request_head(out, parser.head(), "/b", body, kClient);
        return std::string(out.view());
    };
    CHECK(with({Framing::none, 0}) == begin + kOurs);
    CHECK(with({Framing::chunked, 0}) == begin + "Transfer-Encoding: chunked\r\n" + kOurs);
    CHECK(with({Framing::length, 18446744073709551615U}) ==
          begin + "Content-Length: 18446744073709551615\r\n" + kOurs);
}

TEST_CASE("Hop-by-hop fields stay here") {
    CHECK(lines("A: 1\r\nConnection: keep-alive\r\nB: 2\r\nKeep-Alive: timeout=5\r\nProxy-Connection: "
                "close\r\nTrailer: x\r\n"
                "Upgrade: h2c\r\nHTTP2-Settings: x\r\nC: 3\r\n") == "A: 1\r\nB: 2\r\nC: 3\r\n");
    CHECK(lines("X-A: 1\r\nX-B: 2\r\nX-AB: 3\r\nConnection: close, x-a ,X-B\r\n") == "X-AB: 3\r\n");
    CHECK(lines("User-Agent: u\r\nConnection: user-agent\r\nConnection: Accept\r\nAccept: x\r\n").empty());
}

TEST_CASE("Connection cannot name away what others rely on") {
    CHECK(written(
              "POST / HTTP/1.1\r\nConnection: Host, Content-Length, Cookie, X-Forwarded-For, "
              "X-Forwarded-Proto, Forwarded, "
              "X-Real-IP\r\nHost: h\r\nContent-Length: 5\r\nCookie: a=b\r\nX-Forwarded-For: 198.51.100.1\r\n"
              "X-Forwarded-Proto: http\r\nForwarded: for=x\r\nX-Real-IP: 198.51.100.1\r\n\r\n",
              kTrustedClient) ==
          "POST / HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nX-Forwarded-Proto: http\r\nForwarded: for=x\r\n"
          "X-Real-IP: 198.51.100.1\r\nContent-Length: 5\r\nX-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n"
          "X-Forwarded-Host: h\r\nX-Forwarded-Port: 443\r\nX-Request-Id: id1\r\n\r\n");
    CHECK(lines("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n") ==
          "Transfer-Encoding: chunked\r\n");
}

TEST_CASE("An untrusted client's forwarded family is dropped in every spelling") {
    for (const std::string name :
         {"X-Forwarded-For", "x-forwarded-proto", "X_Forwarded_Proto", "X.Forwarded.Host", "X-Forwarded-Port",
          "X-Forwarded-Ssl", "X-Forwarded", "X_Forwarded-Prefix", "Forwarded", "X-Real-IP", "X_REAL_IP",
          "X-Request-Id", "X~Request~Id"}) {
        CAPTURE(name);
        CHECK(lines("A: 1\r\n" + name + ": evil\r\nB: 2\r\n") == "A: 1\r\nB: 2\r\n");
    }
}

TEST_CASE("A trusted client's forwarded family is kept and extended") {
    CHECK(trusted_lines("") == kOurs);
    CHECK(
        trusted_lines("X-Forwarded-For: 198.51.100.1, 10.0.0.1\r\nA: "
                      "b\r\nX-Forwarded-For:\r\nx-forwarded-for: 10.0.0.2\r\n") ==
        "A: b\r\nX-Forwarded-For: 198.51.100.1, 10.0.0.1, 10.0.0.2, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: h\r\nX-Forwarded-Port: 443\r\nX-Request-Id: id1\r\n\r\n");
    CHECK(
        trusted_lines(
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\nX-Forwarded-Port: 80\r\nX-Request-Id: "
            "theirs\r\n"
            "X-Forwarded-Ssl: off\r\nForwarded: for=a\r\nForwarded: for=b\r\nX-Real-IP: 198.51.100.1\r\n") ==
        "X-Forwarded-Proto: http\r\nX-Forwarded-Host: shop\r\nX-Forwarded-Port: 80\r\nX-Request-Id: "
        "theirs\r\n"
        "X-Forwarded-Ssl: off\r\nForwarded: for=a\r\nForwarded: for=b\r\nX-Real-IP: 198.51.100.1\r\n"
        "X-Forwarded-For: 192.0.2.7\r\n\r\n");
    // Repeated ones once, empty ones not at all, odd spellings never.
    CHECK(trusted_lines(
              "X-Forwarded-Proto:\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Proto: "
              "https\r\nX_Forwarded_Host: evil\r\n"
              "X_Forwarded_For: evil\r\nX.Request.Id: evil\r\nX_Forwarded_Ssl: evil\r\nX-Request-Id:\r\n") ==
          "X-Forwarded-Proto: http\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: h\r\nX-Forwarded-Port: "
          "443\r\n"
          "X-Request-Id: id1\r\n\r\n");
}

TEST_CASE("The subject of a client's certificate is ours to tell") {
    CHECK(lines("X-Client-Subject: CN=root\r\nx_client_subject: CN=root\r\nX.Client-Subject: a\r\n").empty());
    ClientView verified = kClient;
    verified.subject = "CN=Ada,O=Shop";
    CHECK(written("GET / HTTP/1.1\r\nHost: h\r\nX-Client-Subject: CN=root\r\n\r\n", verified)
              .ends_with("X-Request-Id: id1\r\nX-Client-Subject: CN=Ada,O=Shop\r\n\r\n"));
    CHECK(trusted_lines("X-Client-Subject: CN=Eve\r\n").find("Eve") == std::string::npos);
}

TEST_CASE("Host is the authority") {
    CHECK(written("GET http://a.example:81/x HTTP/1.1\r\nA: b\r\nHost: other\r\n\r\n", kClient)
              .starts_with("GET /x HTTP/1.1\r\nHost: a.example:81\r\nA: b\r\nX-Forwarded-For: "));
    const std::string old = "GET / HTTP/1.0\r\n\r\n";
    CHECK(written(old, kClient) ==
          "GET / HTTP/1.1\r\nHost: \r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: "
          "https\r\nX-Forwarded-Port: 443\r\n"
          "X-Request-Id: id1\r\n\r\n");
    ClientView client = kClient;
    client.default_host = "10.0.0.11:8080";
    CHECK(written(old, client).starts_with("GET / HTTP/1.1\r\nHost: 10.0.0.11:8080\r\nX-Forwarded-For: "));
}

TEST_CASE("Upgrades and TE") {
    CHECK(lines("Connection: keep-alive, Upgrade, x\r\nUpgrade: websocket\r\nX: y\r\nSec-WebSocket-Key: "
                "k\r\nTE: trailers\r\n") ==
          "Sec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
    CHECK(lines("Upgrade: websocket\r\n").empty());
    CHECK(lines("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n").empty());
    CHECK(lines("TE: gzip;q=0.5, Trailers\r\nConnection: TE\r\n") == "Connection: TE\r\nTE: trailers\r\n");
    CHECK(lines("TE: gzip\r\n").empty());
}

TEST_CASE("Expectations are forwarded where they mean something") {
    CHECK(lines("Expect: 100-Continue\r\nContent-Length: 5\r\nExpect: 100-continue\r\n") ==
          "Content-Length: 5\r\nExpect: 100-continue\r\n");
    CHECK(lines("Expect: 100-continue\r\n").empty());
}

TEST_CASE("Cookies and unknown fields pass untouched") {
    const std::string text =
        "Cookie: a=b; c=\"d e\"\r\ncookie: second\r\nX_Under: 1\r\nA: 1\r\nA: 2\r\nB: \t\r\n";
    CHECK(lines(text) == "Cookie: a=b; c=\"d e\"\r\ncookie: second\r\nX_Under: 1\r\nA: 1\r\nA: 2\r\nB: \r\n");
}

TEST_CASE("Fields that no parser made are written too") {
    RequestHead head;
    head.method_token = "GET";
    head.authority = head.host = "h";
    head.fields = {{.name = "a", .value = "b"},
                   {.name = "c", .value = ""},
                   {.name = "te", .value = "trailers", .known = Name::te}};
    palier::base::Buffer out;
    write_request_head(out, head, "/", {}, kClient);
    CHECK(out.view() ==
          "GET / HTTP/1.1\r\nHost: h\r\na: b\r\nc: \r\nConnection: TE\r\nTE: trailers\r\n" + kOurs);
}
