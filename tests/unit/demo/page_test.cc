#include "demo/page.h"

#include "catch.h"

namespace palier::demo {
namespace {

SeenRequest request() {
    return {
        "GET", "/shop?x=1", {{"Host", "example.com"}, {"X-Forwarded-Proto", "http"}}, 0, "127.0.0.1:5000"};
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST_CASE("HTML is for clients that ask for it") {
    CHECK(wants_html("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
    CHECK_FALSE(wants_html("*/*"));
    CHECK_FALSE(wants_html(""));
}

TEST_CASE("the text page starts with who answered and repeats the request") {
    CHECK(text_page({"front1", 3, 12}, request(), "") ==
          "front1 · request 12 · came by http\n"
          "\n"
          "GET /shop?x=1\n"
          "Host: example.com\n"
          "X-Forwarded-Proto: http\n");
    SeenRequest post = request();
    post.method = "POST";
    post.body_bytes = 42;
    const std::string page = text_page({"front1", 3, 13}, post, "A note.");
    CHECK(page.starts_with("front1 · request 13 · came by http\nA note.\n\nPOST /shop?x=1\n"));
    CHECK(page.ends_with("\n42 bytes of body\n"));
}

TEST_CASE("the HTML page shows the same, and marks what the proxy added") {
    const std::string page = html_page({"front2", 2, 7}, request(), "A note.");
    CHECK(contains(page, "<title>front2 · request 7</title>"));
    CHECK(contains(page, "weight 2"));
    CHECK(contains(page, "<code>GET /shop?x=1</code>"));
    CHECK(contains(page, "<tr><th scope=\"row\">Host</th><td>example.com</td></tr>"));
    CHECK(contains(page, "<tr class=\"proxy\"><th scope=\"row\">X-Forwarded-Proto</th><td>http</td></tr>"));
    CHECK(contains(page, "A note."));
    CHECK(contains(page, "127.0.0.1:5000"));
}

TEST_CASE("the page says by which scheme the visitor came, if a proxy says so") {
    SeenRequest seen = request();
    seen.fields[1].value = "https";
    CHECK(contains(html_page({"front1", 3, 1}, seen, ""), "You came by https"));
    CHECK(text_page({"front1", 3, 1}, seen, "").starts_with("front1 · request 1 · came by https\n"));
    seen.fields[1].value = "gopher<";
    CHECK_FALSE(contains(html_page({"front1", 3, 1}, seen, ""), "You came by"));
    seen.fields.pop_back();
    CHECK(contains(html_page({"front1", 3, 1}, seen, ""), "You came directly"));
    CHECK(text_page({"front1", 3, 1}, seen, "").starts_with("front1 · request 1\n"));
}

TEST_CASE("nothing of a request becomes markup") {
    SeenRequest hostile = request();
    hostile.target = "/<script>alert(1)</script>";
    hostile.fields.push_back({"X-<b>", "\"><img src=x onerror=alert(1)>&"});
    const std::string page = html_page({"front1", 3, 1}, hostile, "<i>note</i>");
    CHECK_FALSE(contains(page, "alert(1)</script"));
    CHECK_FALSE(contains(page, "<img"));
    CHECK_FALSE(contains(page, "<b>"));
    CHECK_FALSE(contains(page, "<i>"));
    CHECK(contains(page, "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;"));
}

TEST_CASE("the page needs nothing else from the server, and each front has its colour") {
    std::string colours;
    for (const std::string_view name : {"front1", "front2", "front3"}) {
        const std::string page = html_page({name, 1, 1}, request(), "");
        CHECK_FALSE(contains(page, "src="));
        CHECK(contains(page, "href=\"data:,\""));
        const std::size_t place = page.find("--front:#");
        REQUIRE(place != std::string::npos);
        const std::string colour = page.substr(place + 8, 7);
        CHECK_FALSE(contains(colours, colour));
        colours += colour;
    }
}

}  // namespace
}  // namespace palier::demo
