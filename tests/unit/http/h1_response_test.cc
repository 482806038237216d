#include "cuts.h"
#include "palier/http/h1_parser.h"

#include <string>

using namespace palier::http;
using namespace palier::http::test;
using namespace std::string_literals;

namespace {

/// The body and persistence of a 200 with further field lines.
std::string ok(const std::string& lines, Asked asked = {}) {
    const std::string outcome = response("HTTP/1.1 200 OK\r\n" + lines + "\r\n", asked);
    const std::size_t body = outcome.find("body=");
    return body == std::string::npos ? outcome : outcome.substr(body, outcome.find(" [") - body);
}

std::string with_status(const std::string& status, const std::string& lines, Asked asked = {}) {
    const std::string outcome = response("HTTP/1.1 " + status + "\r\n" + lines + "\r\n", asked);
    const std::size_t body = outcome.find("body=");
    return body == std::string::npos ? outcome : outcome.substr(body, outcome.find(" [") - body);
}

}  // namespace

TEST_CASE("A response head is taken apart") {
    CHECK(response("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3\r\n\r\nabc") ==
          "49 bytes: 200 'OK' 1.1 body=length:3 persists [Server=x][Content-Length=3]");
    CHECK(response("HTTP/1.0 404 Not Found\r\n\r\n") == "26 bytes: 404 'Not Found' 1.0 body=until-close ");
}

TEST_CASE("Status lines") {
    const auto line = [](const std::string& text) { return response(text + "\r\n\r\n"); };
    CHECK(line("HTTP/1.1 200") == "16 bytes: 200 '' 1.1 body=until-close ");
    CHECK(line("HTTP/1.1 200 ") == "17 bytes: 200 '' 1.1 body=until-close ");
    CHECK(line("HTTP/1.1 999 \xc3\xa9\t ok ") == "24 bytes: 999 '\xc3\xa9\t ok ' 1.1 body=until-close ");
    for (const std::string& bad : {""s,
                                   "HTTP/1.1"s,
                                   "HTTP/1.1 "s,
                                   "HTTP/1.1 20"s,
                                   "HTTP/1.1 2000"s,
                                   "HTTP/1.1 099"s,
                                   "HTTP/1.1 000 x"s,
                                   "HTTP/1.1 2x0 OK"s,
                                   "HTTP/1.1  200 OK"s,
                                   "HTTP/1.1\t200 OK"s,
                                   "HTTP/1.1 200\tOK"s,
                                   "HTTP/1.1 -20 OK"s,
                                   "HTTP/1.1 200 O\x01K"s,
                                   "HTTP/1.1 200 O\0K"s,
                                   "HTTP/1.1 200 O\x7fK"s,
                                   "HTTP/1.1 200 OK\r"s,
                                   "HTTP/1.x 200 OK"s,
                                   "HTTP/2.0 200 OK"s,
                                   "HTTP/1.10 200 OK"s,
                                   "http/1.1 200 OK"s,
                                   "ICY 200 OK"s,
                                   " HTTP/1.1 200 OK"s,
                                   "\r\nHTTP/1.1 200 OK"s,
                                   "HTTP/1.1 200OK"s}) {
        CAPTURE(bad);
        CHECK(line(bad) == refusal(Refusal::bad_status_line));
    }
    CHECK(line("HTTP/1.2 200 OK") == refusal(Refusal::bad_version));
    CHECK(response("HTTP/1.1 200 OK\nA: b\r\n\r\n") == refusal(Refusal::bad_status_line));
}

TEST_CASE("What cannot be a response is refused at its first bytes") {
    CHECK(response("<") == refusal(Refusal::bad_status_line));
    CHECK(response("HTTP/2") == refusal(Refusal::bad_status_line));
    CHECK(response("220 mail ready") == refusal(Refusal::bad_status_line));
    CHECK(response("\r") == refusal(Refusal::bad_status_line));
    for (const char* bytes :
         {"", "H", "HTTP/1.", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r"}) {
        CHECK(response(bytes) == "incomplete");
    }
}

TEST_CASE("Malformed response fields are refused") {
    for (const std::string& lines :
         {"A : b\r\n"s, " A: b\r\n"s, "A: b\r\n c\r\n"s, "A: b\n"s, "A: b\rc\r\n"s, ": b\r\n"s, "A\r\n"s,
          "A: \0\r\n"s, "A: \x7f\r\n"s, "A:\rB\r\n"s, "\n"s}) {
        CAPTURE(lines);
        CHECK(ok(lines) == refusal(Refusal::bad_field));
    }
}

TEST_CASE("Response framing") {
    CHECK(ok("Content-Length: 5\r\n") == "body=length:5 persists");
    CHECK(ok("Content-Length: 0\r\n") == "body=length:0 persists");
    CHECK(ok("Transfer-Encoding: chunked\r\n") == "body=chunked persists");
    CHECK(response("HTTP/1.1 200 OK\r\n\r\n") == "19 bytes: 200 'OK' 1.1 body=until-close ");
    CHECK(ok("Connection: keep-alive\r\n") == "body=until-close");
    CHECK(ok("Connection: close\r\nContent-Length: 5\r\n") == "body=length:5");

    CHECK(ok("Content-Length: 5\r\nContent-Length: 6\r\n") == refusal(Refusal::bad_content_length));
    CHECK(ok("Content-Length: 5\r\nContent-Length: 5\r\n") == refusal(Refusal::bad_content_length));
    CHECK(ok("Content-Length: 5, 5\r\n") == refusal(Refusal::bad_content_length));
    CHECK(ok("Content-Length: -1\r\n") == refusal(Refusal::bad_content_length));
    CHECK(ok("Content-Length: 9223372036854775808\r\n") == refusal(Refusal::bad_content_length));
    CHECK(ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") == refusal(Refusal::length_and_encoding));
    CHECK(ok("Transfer-Encoding: gzip\r\n") == refusal(Refusal::bad_transfer_encoding));
    CHECK(ok("Transfer-Encoding: gzip, chunked\r\n") == refusal(Refusal::bad_transfer_encoding));
    CHECK(ok("Transfer-Encoding: identity\r\n") == refusal(Refusal::bad_transfer_encoding));
    CHECK(response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          refusal(Refusal::bad_transfer_encoding));
}

TEST_CASE("Persistence of a backend that speaks HTTP/1.0") {
    const auto old = [](const std::string& lines) {
        return response("HTTP/1.0 200 OK\r\n" + lines + "\r\n").find(" persists ") != std::string::npos;
    };
    CHECK(old("Connection: keep-alive\r\nContent-Length: 5\r\n"));
    CHECK_FALSE(old("Content-Length: 5\r\n"));
    CHECK_FALSE(old("Connection: keep-alive\r\n"));
}

TEST_CASE("Responses that have no body") {
    CHECK(ok("Content-Length: 5\r\n", {.method = Method::head}) == "body=none persists");
    CHECK(ok("Transfer-Encoding: chunked\r\n", {.method = Method::head}) == "body=none persists");
    CHECK(ok("A: b\r\n", {.method = Method::head}) == "body=none persists");
    CHECK(ok("Content-Length: x\r\n", {.method = Method::head}) == refusal(Refusal::bad_content_length));
    CHECK(with_status("304 Not Modified", "Content-Length: 5\r\n") == "body=none persists");
    CHECK(with_status("204 No Content", "A: b\r\n") == "body=none persists");
    CHECK(with_status("204 No Content", "Content-Length: 0\r\n") == "body=none persists");
    CHECK(with_status("103 Early Hints", "Link: x\r\n") == "body=none persists");
    CHECK(with_status("100 Continue", "Content-Length: 0\r\n") == "body=none persists");
    // Bytes that its framing promises may follow: the connection is not to be reused.
    CHECK(with_status("204 No Content", "Content-Length: 5\r\n") == "body=none");
    CHECK(with_status("204 No Content", "Transfer-Encoding: chunked\r\n") == "body=none");
    CHECK(with_status("100 Continue", "Transfer-Encoding: chunked\r\n") ==
          refusal(Refusal::bad_transfer_encoding));
}

TEST_CASE("101 comes only where an upgrade was asked for") {
    const std::string lines = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    CHECK(with_status("101 Switching Protocols", lines, {.upgrade = true}) == "body=none persists");
    CHECK(with_status("101 Switching Protocols", lines) == refusal(Refusal::unexpected_switch));
    CHECK(response("HTTP/1.0 101 x\r\n" + lines + "\r\n", {.upgrade = true}) ==
          refusal(Refusal::unexpected_switch));
    CHECK(with_status("200 OK", "Content-Length: 1\r\n", {.upgrade = true}) == "body=length:1 persists");
}

TEST_CASE("Response heads beyond the limits are refused") {
    const HeadLimits limits{.size = 64, .fields = 2};
    CHECK(response("HTTP/1.1 200 " + std::string(100, 'x'), {}, limits) == refusal(Refusal::head_too_large));
    CHECK(response("HTTP/1.1 200 OK\r\nA: " + std::string(100, 'x'), {}, limits) ==
          refusal(Refusal::head_too_large));
    CHECK(response("HTTP/1.1 200 OK\r\nA:\r\nB:\r\nC:\r\n\r\n", {}, limits) ==
          refusal(Refusal::too_many_fields));
    CHECK(response("HTTP/1.1 200 OK\r\nA:\r\nB:\r\n\r\n" + std::string(100, 'x'), {}, limits)
              .starts_with("27 bytes: "));
}
