#include "cuts.h"
#include "palier/http/h1_parser.h"

#include <set>
#include <string>

using namespace palier::http;
using namespace palier::http::test;
using namespace std::string_literals;

namespace {

/// A request line with a Host and further field lines.
std::string get(const std::string& lines) {
    return request("GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
}

/// What follows "N bytes: " of an accepted head.
std::string accepted(const std::string& outcome) {
    const std::size_t colon = outcome.find(" bytes: ");
    return colon == std::string::npos ? outcome : outcome.substr(colon + 8);
}

}  // namespace

TEST_CASE("A request head is taken apart") {
    CHECK(request("GET /a?b=c HTTP/1.1\r\nHost: Example.com:8080\r\nA:b\r\nC: \t d e \t\r\nEmpty:\r\nBlank: "
                  "\r\n\r\n") ==
          "81 bytes: GET /a?b=c 1.1 authority=Example.com:8080 host=Example.com body=none persists "
          "[Host=Example.com:8080][A=b][C=d e][Empty=][Blank=]");
}

TEST_CASE("What follows a head is left alone") {
    const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
    const std::string expected = std::to_string(head.size()) +
                                 " bytes: POST / 1.1 authority=h host=h body=length:5 persists "
                                 "[Host=h][Content-Length=5]";
    CHECK(request(head + "hello") == expected);
    CHECK(request(head + "\x01\r\n \r\n\n\0"s) == expected);
    CHECK(request(head + head) == expected);
}

TEST_CASE("An unfinished head is incomplete") {
    for (const char* bytes : {"", "\r", "\r\n", "\r\n\r\n", "\r\n\r", "G", "GET", "GET /", "GET / HTTP/1.1",
                              "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost",
                              "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: h\r",
                              "GET / HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\nHost:\r\n",
                              "GET / HTTP/1.1\r\nHost: h\r\n\r", "GET / HTTP/1.1\r\nHost: h\r\n bad"}) {
        CHECK(request(bytes) == "incomplete");
    }
}

TEST_CASE("At most two empty lines before a request are skipped") {
    const std::string head = "GET / HTTP/1.0\r\n\r\n";
    CHECK(request(head) == "18 bytes: GET / 1.0 authority= host= body=none ");
    CHECK(request("\r\n" + head) == "20 bytes: GET / 1.0 authority= host= body=none ");
    CHECK(request("\r\n\r\n" + head) == "22 bytes: GET / 1.0 authority= host= body=none ");
    CHECK(request("\r\n\r\n\r\n" + head) == refusal(Refusal::bad_request_line));
    CHECK(request("\n" + head) == refusal(Refusal::bad_request_line));
    CHECK(request("\r" + head) == refusal(Refusal::bad_request_line));
}

TEST_CASE("Any token is a method") {
    for (const std::string method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH",
                                     "PROPFIND", "get", "M-SEARCH", "X!#$%&'*+-.^_`|~9", "PRI"}) {
        CHECK(request(method + " / HTTP/1.0\r\n\r\n") == std::to_string(method.size() + 15) + " bytes: " +
                                                             method + " / 1.0 authority= host= body=none ");
    }
    CHECK(request("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n") == refusal(Refusal::bad_method));
}

TEST_CASE("Malformed request lines are refused") {
    for (const std::string& line : {" GET / HTTP/1.1"s,
                                    "GET / HTTP/1.1 "s,
                                    "GET\t/ HTTP/1.1"s,
                                    "GET / HTTP/1.1\t"s,
                                    "GET /"s,
                                    "GET"s,
                                    "GET / "s,
                                    "GET  HTTP/1.1"s,
                                    "GET HTTP/1.1"s,
                                    "GET / http/1.1"s,
                                    "GET / HTTP/11"s,
                                    "GET / HTTP/1.10"s,
                                    "GET / HTTP/1.x"s,
                                    "GET / HTTP/a.1"s,
                                    "GET / HTTP/1,1"s,
                                    "GET / HTCPCP/1.1"s,
                                    "GET / 1.1"s,
                                    "G(T / HTTP/1.1"s,
                                    "G\xc3\xa9T / HTTP/1.1"s,
                                    "G\0T / HTTP/1.1"s,
                                    "{}"s,
                                    "\x80"s,
                                    ""s}) {
        CHECK(request(line + "\r\nHost: h\r\n\r\n") == refusal(Refusal::bad_request_line));
    }
    CHECK(request("GET / HTTP/1.1\nHost: h\r\n\r\n") == refusal(Refusal::bad_request_line));
    CHECK(request("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n") == refusal(Refusal::bad_request_line));
    CHECK(request("GET / HTTP/1.1\rHost: h\r\n\r\n") == refusal(Refusal::bad_request_line));
}

TEST_CASE("Other versions are told apart from noise") {
    for (const std::string version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0", "HTTP/9.9"}) {
        CHECK(request("GET / " + version + "\r\nHost: h\r\n\r\n") == refusal(Refusal::bad_version));
    }
    CHECK(request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == refusal(Refusal::bad_version));
    CHECK(status_of(Refusal::bad_version) == 505);
}

TEST_CASE("Noise is refused before a line is complete") {
    CHECK(request("\x16\x03\x01\x02") == refusal(Refusal::bad_request_line));  // a TLS ClientHello
    CHECK(request(" ") == refusal(Refusal::bad_request_line));
    CHECK(request("GE\x01") == refusal(Refusal::bad_request_line));
    CHECK(request("\r\n\x16") == refusal(Refusal::bad_request_line));
    CHECK(request("\rG") == refusal(Refusal::bad_request_line));
    CHECK(request("PROXY: x") == refusal(Refusal::bad_request_line));
    CHECK(request(std::string(100, 'A') + "\x01") == "incomplete");  // only the beginning is looked at
    CHECK(request(std::string(100, 'A') + "\x01\r\n") == refusal(Refusal::bad_request_line));
}

TEST_CASE("Request targets") {
    const auto target = [](const std::string& text, const std::string& method = "GET") {
        return accepted(request(method + " " + text + " HTTP/1.1\r\nHost: h\r\n\r\n"));
    };
    CHECK(target("//x") == "GET //x 1.1 authority=h host=h body=none persists [Host=h]");
    CHECK(target("/\xc3\xa9") == "GET /\xc3\xa9 1.1 authority=h host=h body=none persists [Host=h]");
    CHECK(target("*", "OPTIONS") == "OPTIONS * 1.1 authority=h host=h body=none persists [Host=h]");
    CHECK(target("*") == refusal(Refusal::bad_target));
    CHECK(target("**", "OPTIONS") == refusal(Refusal::bad_target));
    for (const std::string& bad :
         {"x"s, "h:80"s, "?x"s, "http:/x"s, "ftp://h/"s, "httpx://h/"s, "/a\tb"s, "/a\x01"s, "/a\x7f"s,
          "/a b"s, " /"s, "/ "s, "/\0"s, "http://h?x"s, "http://h#x"s}) {
        CAPTURE(bad);
        CHECK(target(bad) == refusal(Refusal::bad_target));
    }
}

TEST_CASE("The authority of an absolute-form target wins over Host") {
    const auto target = [](const std::string& text, const std::string& method = "GET") {
        return accepted(request(method + " " + text + " HTTP/1.1\r\nHost: other\r\n\r\n"));
    };
    CHECK(target("http://a.example:81/x?y") ==
          "GET /x?y 1.1 authority=a.example:81 host=a.example body=none persists [Host=other]");
    CHECK(target("HTTPS://a/x") == "GET /x 1.1 authority=a host=a body=none persists [Host=other]");
    CHECK(target("http://a") == "GET / 1.1 authority=a host=a body=none persists [Host=other]");
    CHECK(target("http://a", "OPTIONS") ==
          "OPTIONS * 1.1 authority=a host=a body=none persists [Host=other]");
    CHECK(target("http://a/", "OPTIONS") ==
          "OPTIONS / 1.1 authority=a host=a body=none persists [Host=other]");
    for (const std::string bad : {"http:///x", "http:///x?//", "http://", "http://u@a/", "http://u:p@a/",
                                  "http://a:b/", "http://a:/"}) {
        CHECK(target(bad) == refusal(Refusal::bad_host));
    }
    CHECK(request("GET http://a/ HTTP/1.1\r\n\r\n") == refusal(Refusal::missing_host));
    CHECK(request("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n") == refusal(Refusal::bad_host));
    CHECK(accepted(request("GET http://a/ HTTP/1.0\r\n\r\n")) == "GET / 1.0 authority=a host=a body=none ");
}

TEST_CASE("Host") {
    const auto host = [](const std::string& value) {
        return accepted(request("GET / HTTP/1.1\r\nHost:" + value + "\r\n\r\n"));
    };
    for (const std::string good : {"example.com", "EXAMPLE.com", "a_b.example", "a-b", "127.0.0.1", "[::1]",
                                   "[2001:db8::ffff:10.0.0.1]", "x~y", "localhost."}) {
        CHECK(host(good) ==
              "GET / 1.1 authority=" + good + " host=" + good + " body=none persists [Host=" + good + "]");
        for (const std::string port : {":0", ":80", ":65535"}) {
            CHECK(host(" " + good + port) == "GET / 1.1 authority=" + good + port + " host=" + good +
                                                 " body=none persists [Host=" + good + port + "]");
        }
    }
    for (const std::string& bad : {""s,
                                   " "s,
                                   "a b"s,
                                   "a,b"s,
                                   "a/b"s,
                                   "a?b"s,
                                   "a#b"s,
                                   "u@a"s,
                                   "a\\b"s,
                                   "a:"s,
                                   "a:x"s,
                                   "a:65536"s,
                                   "a:000080"s,
                                   "a:80:80"s,
                                   ":80"s,
                                   "a:-1"s,
                                   "[::1"s,
                                   "::1"s,
                                   "[]"s,
                                   "[1]"s,
                                   "[::1]x"s,
                                   "[::1%25eth0]"s,
                                   "[v1.x]"s,
                                   "a%41"s,
                                   "a;b"s,
                                   "a'b"s,
                                   "\xc3\xa9"s,
                                   "a\tb"s,
                                   "<a>"s,
                                   "[::1]:"s,
                                   "[00000000000000000000000000000000000000000000000000::1]"s}) {
        CAPTURE(bad);
        CHECK(host(bad) == refusal(Refusal::bad_host));
    }
    CHECK(request("GET / HTTP/1.1\r\n\r\n") == refusal(Refusal::missing_host));
    CHECK(request("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == refusal(Refusal::several_hosts));
    CHECK(request("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n") == refusal(Refusal::several_hosts));
    CHECK(request("GET / HTTP/1.0\r\nHost:\r\n\r\n") == refusal(Refusal::bad_host));
}

TEST_CASE("Malformed fields are refused") {
    for (const std::string& lines : {"A : b\r\n"s,
                                     "A\t: b\r\n"s,
                                     " A: b\r\n"s,
                                     "A: b\r\n c\r\n"s,
                                     "A: b\r\n\tc\r\n"s,
                                     "A:\r\n b\r\n"s,
                                     "A: b\n"s,
                                     "A: b\r"s,
                                     "A: b\rc\r\n"s,
                                     "A: b\r\r\n"s,
                                     "A:\rB\r\n"s,
                                     "A:\n"s,
                                     "A: \n"s,
                                     ": b\r\n"s,
                                     ":\r\n"s,
                                     "A\r\n"s,
                                     "A b: c\r\n"s,
                                     "A\0: b\r\n"s,
                                     "A: b\0c\r\n"s,
                                     "A: \x01\r\n"s,
                                     "A: b\x7f\r\n"s,
                                     "A: b\x1f\r\n"s,
                                     "A: 0123456789abcdef0123456789\x7f\r\n"s,
                                     "A: 0123456789abcdef\0"s + "0123456789\r\n"s,
                                     "\xc3\xa9: b\r\n"s,
                                     "A(: b\r\n"s,
                                     "A@: b\r\n"s,
                                     "A\"B: c\r\n"s,
                                     "\n"s,
                                     "\rA: b\r\n"s,
                                     "A: b\r\n\n"s,
                                     "Content-Length\r\n"s,
                                     "Content-Length : 5\r\n"s,
                                     "Transfer-Encoding : chunked\r\n"s,
                                     "Transfer-Encoding: chunked\r\n foo\r\n"s,
                                     "Connection: close\r\n , x\r\n"s,
                                     "A: b\x0b\r\n"s,
                                     "A: b\x0c\r\n"s}) {
        CAPTURE(lines);
        CHECK(get(lines) == refusal(Refusal::bad_field));
    }
    // The first field line, where folding would continue the request line.
    CHECK(request("GET / HTTP/1.1\r\n Host: h\r\n\r\n") == refusal(Refusal::bad_field));
    CHECK(request("GET / HTTP/1.1\r\n\tHost: h\r\n\r\n") == refusal(Refusal::bad_field));
    // Ends of heads.
    CHECK(request("GET / HTTP/1.1\r\nHost: h\r\n\n") == refusal(Refusal::bad_field));
    CHECK(request("GET / HTTP/1.1\r\nHost: h\n\n") == refusal(Refusal::bad_field));
    CHECK(request("GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n") == refusal(Refusal::bad_field));
    CHECK(request("GET / HTTP/1.1\r\n\n") == refusal(Refusal::bad_field));
}

TEST_CASE("Unusual but valid fields pass") {
    CHECK(
        accepted(get("!#$%&'*+-.^_`|~09azAZ: \x80\xff \"\\\t,;\r\n")) ==
        "GET / 1.1 authority=h host=h body=none persists [Host=h][!#$%&'*+-.^_`|~09azAZ=\x80\xff \"\\\t,;]");
    CHECK(accepted(get("Content-Length:\t5\t\r\n")) ==
          "GET / 1.1 authority=h host=h body=length:5 persists [Host=h][Content-Length=5]");
}

TEST_CASE("The first offence decides, whatever follows") {
    CHECK(get("A : b\r\nContent-Length: x\r\n") == refusal(Refusal::bad_field));
    CHECK(request("GET / HTTP/1.1\r\nA: b\r\nB\r\n\r\n", {.size = 1024, .fields = 1}) ==
          refusal(Refusal::bad_field));
    CHECK(request("GET / HTTP/1.1\r\nA: b\r\nB: c\r\n", {.size = 1024, .fields = 1}) ==
          refusal(Refusal::too_many_fields));
    CHECK(request("GET / HTTP/1.1\r\nA: b\r\nB: \x01\r\n", {.size = 1024, .fields = 1}) ==
          refusal(Refusal::too_many_fields));
    CHECK(request("GET / HTTP/1.1\r\nA : b\r\nB: c\r\nC: d\r\n", {.size = 1024, .fields = 1}) ==
          refusal(Refusal::bad_field));
}

TEST_CASE("Content-Length is plain digits, once") {
    const auto length = [](const std::string& value) {
        return accepted(get("Content-Length: " + value + "\r\n"));
    };
    for (const std::string good : {"0", "5", "9223372036854775807"}) {
        CHECK(length(good) == "GET / 1.1 authority=h host=h body=length:" + good +
                                  " persists [Host=h][Content-Length=" + good + "]");
    }
    CHECK(length("007").find("body=length:7 ") != std::string::npos);
    for (const std::string bad : {"", "+5", "-5", "5 5", "5,5", "5, 5", "5,6", "0x5", "5.0", "5;", "five",
                                  "\"5\"", "5\t5", "9223372036854775808", "18446744073709551615",
                                  "18446744073709551616", "99999999999999999999999999999999"}) {
        CAPTURE(bad);
        CHECK(length(bad) == refusal(Refusal::bad_content_length));
    }
    CHECK(get("Content-Length: 5\r\nContent-Length: 5\r\n") == refusal(Refusal::bad_content_length));
    CHECK(get("Content-Length: 5\r\ncontent-length: 6\r\n") == refusal(Refusal::bad_content_length));
}

TEST_CASE("Transfer-Encoding is one chunked, in HTTP/1.1, without Content-Length") {
    for (const std::string good : {"chunked", "Chunked", "CHUNKED"}) {
        CHECK(accepted(get("Transfer-Encoding: " + good + "\r\n")) ==
              "GET / 1.1 authority=h host=h body=chunked persists [Host=h][Transfer-Encoding=" + good + "]");
    }
    for (const std::string bad :
         {"", "identity", "gzip", "gzip, chunked", "chunked, chunked", "chunked, gzip", "chunked,",
          ",chunked", "chunked;a=b", "xchunked", "chunkedx", "\"chunked\"", "chunk ed"}) {
        CAPTURE(bad);
        CHECK(get("Transfer-Encoding: " + bad + "\r\n") == refusal(Refusal::bad_transfer_encoding));
    }
    CHECK(get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") ==
          refusal(Refusal::bad_transfer_encoding));
    CHECK(get("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") ==
          refusal(Refusal::bad_transfer_encoding));
    CHECK(get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") ==
          refusal(Refusal::length_and_encoding));
    CHECK(get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") ==
          refusal(Refusal::length_and_encoding));
    CHECK(get("Content-Length: 0\r\nTransfer-Encoding: identity\r\n") ==
          refusal(Refusal::length_and_encoding));
    CHECK(request("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          refusal(Refusal::bad_transfer_encoding));
}

TEST_CASE("Connection and the version decide on persistence") {
    const auto persists = [](const std::string& version, const std::string& lines) {
        const std::string outcome = request("GET / " + version + "\r\nHost: h\r\n" + lines + "\r\n");
        REQUIRE(outcome.find(" bytes: ") != std::string::npos);
        return outcome.find(" persists ") != std::string::npos;
    };
    CHECK(persists("HTTP/1.1", ""));
    CHECK(persists("HTTP/1.1", "Connection: keep-alive\r\n"));
    CHECK(persists("HTTP/1.1", "Connection: closed, xclose\r\n"));
    CHECK_FALSE(persists("HTTP/1.1", "Connection: close\r\n"));
    CHECK_FALSE(persists("HTTP/1.1", "Connection: a,CLOSE ,b\r\n"));
    CHECK_FALSE(persists("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    CHECK_FALSE(persists("HTTP/1.0", ""));
    CHECK(persists("HTTP/1.0", "Connection: Keep-Alive\r\n"));
    CHECK_FALSE(persists("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

TEST_CASE("Expectations") {
    const auto expects = [](const std::string& lines) {
        return get(lines).find(" expects ") != std::string::npos;
    };
    CHECK(expects("Expect: 100-continue\r\nContent-Length: 5\r\n"));
    CHECK(expects("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"));
    CHECK_FALSE(expects("Expect: 100-continue\r\n"));
    CHECK_FALSE(expects("Expect: 100-continue\r\nContent-Length: 0\r\n"));
    for (const std::string bad : {"", "200-ok", "100-continue, x", "100-continue=1"}) {
        CHECK(get("Expect: " + bad + "\r\n") == refusal(Refusal::bad_expectation));
    }
    CHECK(get("Expect: 100-continue\r\nExpect: x\r\n") == refusal(Refusal::bad_expectation));
    CHECK(status_of(Refusal::bad_expectation) == 417);
    // RFC 9110 section 10.1.1: ignored in HTTP/1.0.
    CHECK(accepted(request("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 5\r\n\r\n")) ==
          "POST / 1.0 authority= host= body=length:5 [Expect=x][Content-Length=5]");
}

TEST_CASE("Upgrades") {
    const auto upgrade = [](const std::string& lines) -> std::string {
        const std::string outcome = get(lines);
        if (outcome.starts_with("refused")) return outcome;
        const std::size_t at = outcome.find(" upgrade=");
        return at == std::string::npos ? "" : outcome.substr(at + 9, outcome.find(" [") - at - 9);
    };
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\n") == "websocket");
    CHECK(upgrade("Upgrade: a/1, b\r\nConnection: keep-alive, uPGRADE\r\nContent-Length: 0\r\n") == "a/1, b");
    CHECK(upgrade("Upgrade: websocket\r\n").empty());
    CHECK(upgrade("Connection: Upgrade\r\n").empty());
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade:\r\n").empty());
    CHECK(upgrade("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n")
              .empty());
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n").empty());
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n").empty());
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n").empty());
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: a\r\nContent-Length: 5\r\n") ==
          refusal(Refusal::bad_upgrade));
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: a\r\nTransfer-Encoding: chunked\r\n") ==
          refusal(Refusal::bad_upgrade));
    CHECK(upgrade("Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n") == refusal(Refusal::bad_upgrade));
    CHECK(request("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n").find(" upgrade=") ==
          std::string::npos);
}

TEST_CASE("Heads beyond the limits are refused") {
    const HeadLimits limits{.size = 64, .fields = 3};
    const std::string begin = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
    const auto filled = [&begin](std::size_t size) {
        return begin + std::string(size - begin.size() - 4, 'x') + "\r\n\r\n";
    };
    CHECK(request(filled(64), limits).starts_with("64 bytes: "));
    CHECK(request(filled(64) + filled(64), limits).starts_with("64 bytes: "));
    CHECK(request(filled(65), limits) == refusal(Refusal::head_too_large));
    CHECK(request(begin + std::string(100, 'x'), limits) == refusal(Refusal::head_too_large));
    CHECK(request("GET / HTTP/1.1\r\nA: b\r\n B: c\r\n" + std::string(100, 'x'), limits) ==
          refusal(Refusal::bad_field));

    CHECK(request("GET /" + std::string(100, 'x'), limits) == refusal(Refusal::target_too_long));
    CHECK(request("GET /" + std::string(100, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", limits) ==
          refusal(Refusal::target_too_long));
    CHECK(request(std::string(100, 'x'), limits) == refusal(Refusal::target_too_long));
    CHECK(status_of(Refusal::target_too_long) == 414);

    CHECK(request("GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\n\r\n", limits).starts_with("35 bytes: "));
    CHECK(request("GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\nC:\r\n\r\n", limits) ==
          refusal(Refusal::too_many_fields));
    CHECK(status_of(Refusal::too_many_fields) == 431);
    CHECK(status_of(Refusal::head_too_large) == 431);
}

TEST_CASE("A parser serves many connections, one head after another") {
    RequestParser parser({});
    const std::string big =
        "GET /first HTTP/1.1\r\nHost: a\r\nX: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    const std::string small = "POST /second HTTP/1.0\r\n\r\n";
    REQUIRE(parser.parse(big, 0).state == HeadState::complete);
    REQUIRE(parser.parse("GET / HTTP/1.1\r\nA: b\r\n", 0).state == HeadState::incomplete);
    REQUIRE(parser.parse(small, 0).state == HeadState::complete);
    CHECK(describe(parser.head()) == "POST /second 1.0 authority= host= body=none ");
}

TEST_CASE("Every refusal has a status and a text of its own") {
    std::set<std::string_view> texts;
    for (auto i = static_cast<int>(Refusal::bad_request_line);
         i <= static_cast<int>(Refusal::unexpected_switch); ++i) {
        const auto refusal = static_cast<Refusal>(i);
        CHECK(status_of(refusal) >= 400);
        CHECK(texts.insert(text_of(refusal)).second);
    }
    CHECK(status_of(Refusal::bad_method) == 405);
    CHECK(status_of(Refusal::bad_field) == 400);
}
