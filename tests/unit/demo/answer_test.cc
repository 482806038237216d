#include "demo/answer.h"

#include "catch.h"

namespace palier::demo {
namespace {

using namespace std::chrono_literals;

constexpr FrontView kFront{"front1", 3, 12};

SeenRequest get(std::string target) {
    return {"GET", std::move(target), {{"Accept", "*/*"}}, 0, "127.0.0.1:5000"};
}

TEST_CASE("every path but a few is the page") {
    for (const char* target : {"/", "/shop/index.php?x=1", "/slower", "/statuses", "*"}) {
        const Answer answer = answer_to(get(target), kFront);
        CHECK(answer.status == 200);
        CHECK(answer.body.starts_with("front1 · request 12\n"));
        CHECK(answer.content_type == "text/plain; charset=utf-8");
        CHECK(answer.delay == 0ms);
        CHECK(answer.outage == 0ms);
    }
    SeenRequest browser = get("/");
    browser.fields[0].value = "text/html";
    CHECK(answer_to(browser, kFront).content_type == "text/html; charset=utf-8");
    CHECK(answer_to(browser, kFront).body.starts_with("<!doctype html>"));
}

TEST_CASE("/slow waits as long as asked, a minute at most") {
    CHECK(answer_to(get("/slow?ms=500"), kFront).delay == 500ms);
    CHECK(answer_to(get("/slow?ms=60000"), kFront).delay == 60s);
    for (const char* target : {"/slow", "/slow?ms=", "/slow?ms=60001", "/slow?ms=-1", "/slow?ms=5s"}) {
        const Answer answer = answer_to(get(target), kFront);
        CHECK(answer.status == 400);
        CHECK(answer.delay == 0ms);
    }
}

TEST_CASE("/status answers with any final status") {
    CHECK(answer_to(get("/status/503"), kFront).status == 503);
    CHECK(answer_to(get("/status/599"), kFront).status == 599);
    for (const char* target : {"/status/", "/status/101", "/status/600", "/status/x", "/status/503/"}) {
        CHECK(answer_to(get(target), kFront).status == 400);
    }
}

TEST_CASE("/big sends that many bytes") {
    const Answer answer = answer_to(get("/big?bytes=10000000000"), kFront);
    CHECK(answer.status == 200);
    CHECK(answer.filler == 10'000'000'000);
    CHECK(head_of(answer, "front1", true).find("\r\nContent-Length: 10000000000\r\n") != std::string::npos);
    CHECK(answer_to(get("/big?bytes=0"), kFront).status == 200);
    CHECK(answer_to(get("/big?bytes=many"), kFront).status == 400);
}

TEST_CASE("/outage wants a POST and ten minutes at most") {
    SeenRequest request = get("/outage?s=20");
    CHECK(answer_to(request, kFront).status == 405);
    CHECK(answer_to(request, kFront).outage == 0ms);
    request.method = "POST";
    CHECK(answer_to(request, kFront).outage == 20s);
    CHECK(answer_to(request, kFront).status == 200);
    request.target = "/outage?s=601";
    CHECK(answer_to(request, kFront).status == 400);
    CHECK(answer_to(request, kFront).outage == 0ms);
}

TEST_CASE("the head has the body's length and who answered") {
    Answer answer;
    answer.body = "hello";
    CHECK(head_of(answer, "front1", true) ==
          "HTTP/1.1 200 OK\r\n"
          "Content-Type: text/plain; charset=utf-8\r\n"
          "Content-Length: 5\r\n"
          "Cache-Control: no-store\r\n"
          "X-Front: front1\r\n"
          "\r\n");
    CHECK(head_of(answer, "front1", false).ends_with("\r\nConnection: close\r\n\r\n"));
}

TEST_CASE("204, 304 and answers to HEAD have no body") {
    SeenRequest request = get("/status/204");
    const Answer empty = answer_to(request, kFront);
    CHECK_FALSE(has_body(empty, request));
    CHECK(head_of(empty, "front1", true).find("Content-Length") == std::string::npos);
    request.target = "/status/304";
    CHECK_FALSE(has_body(answer_to(request, kFront), request));
    request.target = "/";
    CHECK(has_body(answer_to(request, kFront), request));
    request.method = "HEAD";
    CHECK_FALSE(has_body(answer_to(request, kFront), request));
}

}  // namespace
}  // namespace palier::demo
