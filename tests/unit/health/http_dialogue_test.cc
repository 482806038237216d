#include "dialogues.h"

#include <chrono>
#include <vector>

using namespace palier;
using namespace palier::health;
using namespace palier::health::test;
using namespace std::string_literals;

namespace {

constexpr std::size_t kKiB = 1024;

Make probe(const config::HealthConfig& config) {
    return [&config] { return make_http_dialogue(config, "10.0.0.1:8080"); };
}

config::HealthConfig expecting(std::string text, bool keep_alive = false) {
    config::HealthConfig config;
    config.expect_body = std::move(text);
    config.keep_alive = keep_alive;
    return config;
}

std::string request_of(const config::HealthConfig& config) {
    return make_http_dialogue(config, "10.0.0.1:8080")->take_output();
}

std::string with_length(std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}

std::string chunked(const std::vector<std::string>& chunks) {
    std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (const std::string& chunk : chunks) {
        char size[20];
        std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
        text.append(size).append(chunk).append("\r\n");
    }
    return text.append("0\r\n\r\n");
}

}  // namespace

TEST_CASE("http: the request", "[http_dialogue]") {
    config::HealthConfig config;
    CHECK(request_of(config) ==
          "GET /health HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: palier\r\nConnection: close\r\n\r\n");
    config.method = "HEAD";
    config.path = "/up?deep=1";
    config.host = "shop.example.com";
    config.keep_alive = true;
    config.headers = {{"X-Probe", "1"}, {"Accept", "text/plain"}};
    CHECK(request_of(config) ==
          "HEAD /up?deep=1 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: palier\r\nX-Probe: 1\r\n"
          "Accept: text/plain\r\n\r\n");
    config.headers = {{"user-agent", "probe/2"}};
    CHECK(request_of(config) ==
          "HEAD /up?deep=1 HTTP/1.1\r\nHost: shop.example.com\r\nuser-agent: probe/2\r\n\r\n");
    config.method = "POST";
    CHECK(request_of(config).ends_with("probe/2\r\nContent-Length: 0\r\n\r\n"));
    config.headers.push_back({"Content-Length", "0"});
    CHECK(request_of(config).ends_with("probe/2\r\nContent-Length: 0\r\n\r\n"));

    const auto dialogue = make_http_dialogue(config, "a");
    CHECK_FALSE(dialogue->take_output().empty());
    CHECK(dialogue->take_output().empty());
}

TEST_CASE("http: statuses", "[http_dialogue]") {
    config::HealthConfig config;
    CHECK(closed_after(probe(config), "HTTP/1.1 200 OK\r\n\r\n") == "well");
    CHECK(closed_after(probe(config), "HTTP/1.0 399\r\n\r\n") == "well");
    CHECK(closed_after(probe(config), "HTTP/1.1 302 Found\r\nLocation: /health\r\n\r\n") == "well");
    CHECK(outcome_of(probe(config), "HTTP/1.1 400 No\r\n\r\n") == "HTTP 400, expected 200-399");
    CHECK(outcome_of(probe(config), "HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n") ==
          "HTTP 503, expected 200-399");
    config.expect = {{204, 204}, {300, 303}};
    CHECK(outcome_of(probe(config), "HTTP/1.1 204 -\r\n\r\n") == "well");
    CHECK(closed_after(probe(config), "HTTP/1.1 303 -\r\n\r\n") == "well");
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 -\r\n\r\n") == "HTTP 200, expected 204, 300-303");
    CHECK(outcome_of(probe(config), "HTTP/1.1 304 -\r\n\r\n") == "HTTP 304, expected 204, 300-303");
}

TEST_CASE("http: the verdict comes with the last byte", "[http_dialogue]") {
    const config::HealthConfig config;
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\n\r\n";
    for (std::size_t size = 0; size < head.size(); ++size) {
        const auto dialogue = make_http_dialogue(config, "a");
        const std::string_view start = std::string_view(head).substr(0, size);
        if (size > 0) CHECK(dialogue->on_bytes(start) == Dialogue::Step::more);
        CHECK(dialogue->stage() == (size == 0                 ? "no answer"
                                    : start.find('\n') > size ? "half a status line"
                                                              : "an unfinished head"));
        CHECK(dialogue->on_bytes(std::string_view(head).substr(size)) == Dialogue::Step::done);
        CHECK(dialogue->result().well);
    }
}

TEST_CASE("http: interim responses", "[http_dialogue]") {
    const config::HealthConfig config = expecting("fine");
    std::string bytes;
    for (int count = 0; count < 8; ++count)
        bytes += "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    CHECK(outcome_of(probe(config), bytes) == "waiting: nothing after an interim response (1xx)");
    CHECK(closed_after(probe(config), bytes) == "closed after an interim response (1xx)");
    CHECK(outcome_of(probe(config), bytes + with_length("fine")) == "well");
    bytes += "HTTP/1.1 100 Continue\r\n\r\n";
    CHECK(outcome_of(probe(config), bytes) == "too many interim responses (1xx)");
    CHECK(outcome_of(probe(config), "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n") ==
          "bad response: protocol switch that nobody asked for");

    // Each may be as large as a head may.
    const std::string large = "HTTP/1.1 103 -\r\nX: " + std::string(30 * kKiB, 'x') + "\r\n\r\n";
    CHECK(outcome_of(probe(config), large + large + large + with_length("fine")) == "well");
}

TEST_CASE("http: closed early", "[http_dialogue]") {
    const config::HealthConfig config = expecting("fine");
    CHECK(closed_after(probe(config), "") == "closed before it answered");
    CHECK(closed_after(probe(config), "H") == "closed within its status line");
    CHECK(closed_after(probe(config), "HTTP/1.1 200 OK\r") == "closed within its status line");
    CHECK(closed_after(probe(config), "HTTP/1.1 200 OK\r\n") == "closed within its head");
    CHECK(closed_after(probe(config), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfin") ==
          "closed within its body");
    CHECK(closed_after(probe(config),
                       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfin\r\n0\r\n") ==
          "closed within its body");
}

TEST_CASE("http: what is no response", "[http_dialogue]") {
    const config::HealthConfig config;
    CHECK(outcome_of(probe(config), "SSH-2.0-OpenSSH_9.2") == "bad response: malformed status line");
    CHECK(outcome_of(probe(config), "\x15\x03\x01\x00\x02\x02\x46"s) ==
          "bad response: malformed status line");
    CHECK(outcome_of(probe(config), "HTTP/1.1 2x0 OK\r\n") == "bad response: malformed status line");
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nno colon\r\n") ==
          "bad response: malformed header field");
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n") ==
          "bad response: invalid or repeated Content-Length");
    CHECK(outcome_of(probe(config),
                     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          "bad response: Content-Length together with Transfer-Encoding");
}

TEST_CASE("http: heads without end", "[http_dialogue]") {
    const config::HealthConfig config;
    const std::string line(40 * kKiB, 'x');
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 " + line) == "bad response: head too large");
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nX: " + line) == "bad response: head too large");
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nX: " + line.substr(0, 32 * kKiB - 23)) ==
          "waiting: an unfinished head");
    std::string fields = "HTTP/1.1 200 OK\r\n";
    for (int count = 0; count < 128; ++count)
        fields += "X: y\r\n";
    CHECK(closed_after(probe(config), fields + "\r\n") == "well");
    CHECK(outcome_of(probe(config), fields + "X: y\r\n\r\n") == "bad response: too many header fields");
}

TEST_CASE("http: text in the body", "[http_dialogue]") {
    const config::HealthConfig config = expecting("status: ok");
    CHECK(outcome_of(probe(config), with_length("status: ok")) == "well");
    CHECK(outcome_of(probe(config), with_length("<p>sstatus: status: ok!</p>")) == "well");
    CHECK(outcome_of(probe(config), with_length("status: o")) == "the body does not hold \"status: ok\"");
    CHECK(outcome_of(probe(config), with_length("")) == "the body does not hold \"status: ok\"");
    CHECK(outcome_of(probe(config), "HTTP/1.1 204 -\r\n\r\n") == "the body does not hold \"status: ok\"");
    CHECK(outcome_of(probe(config), chunked({"sta", "tus:", " ok"})) == "well");
    CHECK(outcome_of(probe(config), chunked({"sta", "tus", " ok"})) ==
          "the body does not hold \"status: ok\"");
    // Found before the body's end, it must end all the same.
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nstatus: ok") ==
          "waiting: an unfinished body");
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\n\r\nstatus: ") == "waiting: an unfinished body");
    CHECK(closed_after(probe(config), "HTTP/1.1 200 OK\r\n\r\nstatus: ") ==
          "the body does not hold \"status: ok\"");
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nstaXus") ==
          "bad response: broken framing of its body");
    // The status counts first.
    CHECK(outcome_of(probe(config), "HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\nstatus: ok") ==
          "HTTP 500, expected 200-399");
}

TEST_CASE("http: HEAD has no body", "[http_dialogue]") {
    config::HealthConfig config;
    config.method = "HEAD";
    config.keep_alive = true;
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") == "well, reusable");
    config.expect_body = "x";
    CHECK(outcome_of(probe(config), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") ==
          "the body does not hold \"x\"");
}

TEST_CASE("http: only the body's first 64 KiB are searched", "[http_dialogue]") {
    const config::HealthConfig config = expecting("here");
    CHECK(outcome_of(probe(config), with_length(std::string(64 * kKiB - 4, 'h') + "here")) == "well");
    const std::string not_there = "the body does not hold \"here\" in its first 64 KiB";
    CHECK(outcome_of(probe(config), with_length(std::string(64 * kKiB - 3, 'h') + "here")) == not_there);
    CHECK(outcome_of(probe(config), with_length(std::string(64 * kKiB - 4, 'h') + "her.")) == not_there);
    CHECK(outcome_of(probe(config), chunked({std::string(40 * kKiB, 'h'), std::string(40 * kKiB, 'e')})) ==
          not_there);
}

TEST_CASE("http: a body that nobody looks at must end, or be long", "[http_dialogue]") {
    const config::HealthConfig any;
    CHECK(outcome_of(probe(any), with_length("fine")) == "well");
    CHECK(outcome_of(probe(any), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine") ==
          "waiting: an unfinished body");
    CHECK(closed_after(probe(any), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine") ==
          "closed within its body");
    CHECK(closed_after(probe(any), "HTTP/1.1 200 OK\r\n\r\nfine") == "well");
    CHECK(outcome_of(probe(any), with_length(std::string(64 * kKiB + 1, 'x')).substr(0, 65 * kKiB)) ==
          "well");
}

TEST_CASE("http: keep_alive waits for the body's end", "[http_dialogue]") {
    const config::HealthConfig any = expecting("", true);
    CHECK(outcome_of(probe(any), with_length("")) == "well, reusable");
    CHECK(outcome_of(probe(any), with_length("fine")) == "well, reusable");
    CHECK(outcome_of(probe(any), chunked({"fi", "ne"})) == "well, reusable");
    CHECK(outcome_of(probe(any), "HTTP/1.1 204 -\r\n\r\n") == "well, reusable");
    CHECK(outcome_of(probe(any), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine") ==
          "waiting: an unfinished body");
    CHECK(closed_after(probe(any), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine") ==
          "closed within its body");
    CHECK(outcome_of(probe(any), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx") ==
          "bad response: broken framing of its body");
    CHECK(outcome_of(probe(any), "HTTP/1.1 503 -\r\nContent-Length: 5\r\n\r\n") ==
          "HTTP 503, expected 200-399");
    // Not reusable: the server says so, the body's end is the connection's, HTTP/1.0, or too long a body.
    CHECK(outcome_of(probe(any), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") ==
          "well");
    CHECK(outcome_of(probe(any), "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n") == "well");
    CHECK(closed_after(probe(any), "HTTP/1.1 200 OK\r\n\r\nfine") == "well");
    CHECK(outcome_of(probe(any), with_length(std::string(64 * kKiB, 'x'))) == "well, reusable");
    CHECK(outcome_of(probe(any), with_length(std::string(64 * kKiB + 1, 'x'))) == "well");

    const config::HealthConfig fine = expecting("fine", true);
    CHECK(outcome_of(probe(fine), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine") ==
          "waiting: an unfinished body");
    CHECK(outcome_of(probe(fine), with_length("so fine!")) == "well, reusable");
    CHECK(outcome_of(probe(fine), with_length("fine" + std::string(64 * kKiB, 'x'))) == "well");
    CHECK(outcome_of(probe(fine), with_length("not so")) == "the body does not hold \"fine\"");
}

TEST_CASE("http: bytes after the response spoil the connection", "[http_dialogue]") {
    const config::HealthConfig config = expecting("", true);
    const auto dialogue = make_http_dialogue(config, "a");
    CHECK(run(*dialogue, with_length("fine") + "HTTP/1.1 200 OK\r\n", 1000, false) == "well");
}

TEST_CASE("http: a reason quotes a bounded text", "[http_dialogue]") {
    const config::HealthConfig config = expecting(std::string(300, 'a') + "\n");
    CHECK(outcome_of(probe(config), with_length("b")) ==
          "the body does not hold \"" + std::string(60, 'a') + "...\"");
}

TEST_CASE("http: a server that dribbles costs no more than one that does not", "[http_dialogue]") {
    // Quadratic work would be some 10^10 steps for each of these.
    const config::HealthConfig config = expecting(std::string(30 * kKiB, 'a') + "b");
    const auto begin = std::chrono::steady_clock::now();
    auto dialogue = make_http_dialogue(config, "a");
    CHECK(run(*dialogue, with_length(std::string(63 * kKiB, 'a')), 1, false) ==
          "the body does not hold \"" + std::string(60, 'a') + "...\"");
    std::string interim;
    for (int count = 0; count < 8; ++count)
        interim += "HTTP/1.1 103 -\r\nX: " + std::string(32'000, 'x') + "\r\n\r\n";
    dialogue = make_http_dialogue(config, "a");
    CHECK(run(*dialogue, interim + "HTTP/1.1 500 -\r\n\r\n", 1, false) == "HTTP 500, expected 200-399");
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}
