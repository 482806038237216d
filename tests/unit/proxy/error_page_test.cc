#include "palier/proxy/error_page.h"

#include "catch.h"
#include "proxy/accept.h"

#include <string>

#include <nlohmann/json.hpp>

using namespace palier;
using namespace palier::proxy;

namespace {

constexpr std::string_view kDate = "Fri, 20 Nov 2026 23:25:01 GMT";

struct Parsed {
    std::string head;  // with the empty line
    std::string body;

    [[nodiscard]] bool has(std::string_view line) const {
        return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
    }
};

Parsed parsed(const base::Buffer& out) {
    const std::string text(out.view());
    const std::size_t end = text.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    return {text.substr(0, end + 4), text.substr(end + 4)};
}

Parsed error_response(int status, std::string_view accept = "", std::string_view request_id = "4f1c") {
    base::Buffer out;
    write_error_response(out, status, accept, false, true, request_id, kDate, std::nullopt);
    return parsed(out);
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an error page is a whole response that is not cached") {
    base::Buffer out;
    out.append("before");
    write_error_response(out, 503, "", false, false, "4f1c", kDate, 5, "X-Extra: 1\r\n");
    REQUIRE(out.view().starts_with("beforeHTTP/1.1 503 Service Unavailable\r\n"));
    out.consume(6);
    const Parsed response = parsed(out);
    CHECK(response.head ==
          "HTTP/1.1 503 Service Unavailable\r\nServer: palier\r\nDate: " + std::string(kDate) +
              "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: " +
              std::to_string(response.body.size()) +
              "\r\nCache-Control: no-store\r\nConnection: close\r\nRetry-After: 5\r\n"
              "X-Extra: 1\r\n\r\n");
    CHECK(contains(response.body, "<title>503 Service Unavailable</title>"));
    CHECK(contains(response.body, "4f1c"));
    CHECK(contains(response.body, "Please try again in a moment."));
}

TEST_CASE("a kept connection is not closed") {
    CHECK_FALSE(contains(error_response(404).head, "Connection"));
}

TEST_CASE("a response to HEAD has the length of the body it leaves out") {
    const std::string full = error_response(404).body;
    base::Buffer out;
    write_error_response(out, 404, "", true, true, "4f1c", kDate, std::nullopt);
    const Parsed response = parsed(out);
    CHECK(response.body.empty());
    CHECK(response.has("Content-Length: " + std::to_string(full.size())));
}

TEST_CASE("every page is small and self-contained") {
    const std::string longest_id(128, '"');  // each becomes &quot;
    for (const int status :
         {400, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505}) {
        const Parsed page = error_response(status, "", "4f1c2b3a-9988-7766-5544-33221100aabb");
        CHECK(page.body.size() < 1536);
        CHECK(contains(page.body, "color-scheme:light dark"));
        CHECK_FALSE(contains(page.body, "<script"));
        CHECK_FALSE(contains(page.body, "http"));  // nothing is loaded from anywhere
        CHECK(error_response(status, "", longest_id).body.size() < 2500);
    }
}

TEST_CASE("a page without a request id does not speak of one") {
    CHECK_FALSE(contains(error_response(400, "", "").body, "Request "));
}

TEST_CASE("what a client could have sent is escaped") {
    const Parsed html = error_response(400, "", "<script>\"&'");
    CHECK(contains(html.body, "Request &lt;script&gt;&quot;&amp;&#39;<"));
    const Parsed json = error_response(400, "application/json", "\"\\\n\xff");
    CHECK(nlohmann::json::parse(json.body).at("request_id") == "\"\\\n\u00ff");
    const auto endless =
        nlohmann::json::parse(error_response(400, "application/json", std::string(9999, 'x')).body);
    CHECK(endless.at("request_id") == std::string(128, 'x'));
}

TEST_CASE("a client that prefers JSON gets JSON") {
    const Parsed response = error_response(502, "application/json");
    CHECK(response.has("Content-Type: application/json"));
    CHECK(response.has("Content-Length: " + std::to_string(response.body.size())));
    CHECK(response.body == "{\"status\":502,\"error\":\"Bad Gateway\",\"message\":\"The site did not give a proper answer. Please try again in a moment.\",\"request_id\":\"4f1c\"}\n");
}

TEST_CASE("Accept chooses between JSON and HTML") {
    for (const std::string_view json :
         {"application/json", "Application/JSON", "application/json, text/plain, */*",
          "application/json;q=0.1", "text/html;q=0.8, application/json;q=0.9", "application/*",
          "text/html;q=0, */*", "text/html;q=0.5,application/json;q=0.501",
          "*/*;q=0.1, application/json ; charset=utf-8 ; Q=0.2"}) {
        INFO(json);
        CHECK(prefers_json(json));
    }
    for (const std::string_view html :
         {"", "*/*", "text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
          "application/json, text/html", "text/html, application/json", "application/json;q=0", "image/png",
          "application/json;q=0.8, text/html;q=0.9", "application/json;q=0.8, text/*", "application/json;q=2",
          "application/json;q=0.x", "application/json;q=", ",,;;=,q=1", "application/jsonp",
          "application/*;q=0.5, */*"}) {
        INFO(html);
        CHECK_FALSE(prefers_json(html));
    }
}

TEST_CASE("a redirect") {
    base::Buffer out;
    write_redirect(out, 301, "https://shop.example.com/a?b=1&c=2", false, true, kDate);
    const Parsed response = parsed(out);
    CHECK(response.head.starts_with("HTTP/1.1 301 Moved Permanently\r\n"));
    CHECK(response.has("Location: https://shop.example.com/a?b=1&c=2"));
    CHECK(response.has("Server: palier"));
    CHECK(response.has("Content-Length: " + std::to_string(response.body.size())));
    CHECK_FALSE(contains(response.head, "Cache-Control"));
    CHECK(contains(response.body, "<a href=\"https://shop.example.com/a?b=1&amp;c=2\">"));
}

TEST_CASE("a redirect's location cannot end its field or its link") {
    base::Buffer out;
    write_redirect(out, 302, "https://a/\r\nSet-Cookie: x=1\"><script>%41\xc3\xa9", true, false, kDate,
                   "X-A: b\r\n");
    const Parsed response = parsed(out);
    CHECK(response.has("Location: https://a/%0D%0ASet-Cookie:%20x=1%22%3E%3Cscript%3E%41%C3%A9"));
    CHECK(response.has("X-A: b"));
    CHECK(response.has("Connection: close"));
    CHECK(response.body.empty());
}

TEST_CASE("a fixed response") {
    base::Buffer out;
    write_fixed_response(out, 200, "text/plain", "hello", false, true, kDate);
    Parsed response = parsed(out);
    CHECK(response.head == "HTTP/1.1 200 OK\r\nServer: palier\r\nDate: " + std::string(kDate) +
                               "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
    CHECK(response.body == "hello");

    out.clear();
    write_fixed_response(out, 503, "text/html", "<p>Back soon", false, false, kDate, "Retry-After: 60\r\n");
    response = parsed(out);
    CHECK(response.has("Cache-Control: no-store"));
    CHECK(response.has("Retry-After: 60"));
    CHECK(response.has("Connection: close"));
    CHECK(response.body == "<p>Back soon");
}

TEST_CASE("204 and 304 have neither a body nor a length") {
    for (const int status : {204, 304}) {
        base::Buffer out;
        write_fixed_response(out, status, "text/plain", "ignored", false, true, kDate);
        const Parsed response = parsed(out);
        CHECK(response.body.empty());
        CHECK_FALSE(contains(response.head, "Content-"));
    }
}

TEST_CASE("reason phrases") {
    CHECK(reason_phrase(100) == "Continue");
    CHECK(reason_phrase(200) == "OK");
    CHECK(reason_phrase(404) == "Not Found");
    CHECK(reason_phrase(431) == "Request Header Fields Too Large");
    CHECK(reason_phrase(511) == "Network Authentication Required");
    CHECK(reason_phrase(299) == "Success");
    CHECK(reason_phrase(499) == "Client Error");
    CHECK(reason_phrase(599) == "Server Error");
}
