#include "config/load_fixture.h"
#include "config/route_action.h"

namespace palier::config {
namespace {

TEST_CASE("routes are read") {
    const Config config = config_of(R"(
[[route]]
host = ["Shop.example.com", "*.example.com"]
path = "=/exact"
listener = ["rest"]
pool = "rest"
[[route]]
path = "/old/"
redirect = { to = "https" }
[[route]]
path = "/gone/"
respond = { code = 410 }
)");
    REQUIRE(config.routes.size() == 4);
    const RouteConfig& first = config.routes[0];
    CHECK(first.hosts == Strings{"shop.example.com", "*.example.com"});
    CHECK(first.path == "/exact");
    CHECK(first.exact);
    CHECK(first.listeners == std::vector<std::size_t>{0});
    CHECK(std::get<ForwardAction>(first.action).pool == 0);
    CHECK(config.routes[1].hosts.empty());
    CHECK(config.routes[1].listeners.empty());
    CHECK(std::get<RedirectAction>(config.routes[1].action).to == "https");
    CHECK(std::get<RedirectAction>(config.routes[1].action).code == 301);
    CHECK(std::get<RespondAction>(config.routes[2].action).code == 410);
    CHECK(std::get<RespondAction>(config.routes[2].action).body.empty());
    CHECK(std::get<RespondAction>(config.routes[2].action).content_type == "text/plain; charset=utf-8");
}

TEST_CASE("pools and listeners are found wherever they stand") {
    const Config config = config_of(
        "[[route]]\npool = \"rest\"\n[[pool]]\nname = \"first\"\n[[pool.server]]\nname = \"s\"\n"
        "address = \"s:1\"\n");
    CHECK(std::get<ForwardAction>(config.routes[0].action).pool == 1);
}

TEST_CASE("references to nothing suggest what there is") {
    CHECK(mistakes_in("[[route]]\npool = \"rset\"\nlistener = \"rets\"\n") ==
          Strings{"t:2:8: there is no pool \"rset\"; did you mean \"rest\"?",
                  "t:3:12: there is no listener \"rets\"; did you mean \"rest\"?"});
    CHECK(mistakes_in("[[route]]\npool = \"shop\"\n") == Strings{"t:2:8: there is no pool \"shop\""});
}

TEST_CASE("a route does exactly one thing") {
    CHECK(mistakes_in("\n[[route]]\npath = \"/a\"\n") ==
          Strings{"t:2:1: the route does nothing: it needs \"pool\", \"redirect\" or \"respond\""});
    CHECK(mistakes_in("[[route]]\npool = \"rest\"\nredirect = { to = \"https\" }\n") ==
          Strings{"t:3:1: a route does one thing: \"pool\" or \"redirect\", not both"});
    CHECK(mistakes_in("[[route]]\nrespond = { code = 503 }\n[route.redirect]\nto = \"https\"\n") ==
          Strings{"t:2:1: a route does one thing: \"redirect\" or \"respond\", not both"});
}

TEST_CASE("redirects are checked") {
    const auto redirect = [](const std::string& table) {
        return mistakes_in("[[route]]\nredirect = " + table + "\n");
    };
    CHECK(redirect("{ to = \"https\", code = 308 }").empty());
    CHECK(redirect("{ to = \"https://www.example.com/x?y=z\", code = 303 }").empty());
    CHECK(redirect("{ to = \"/there\" }").empty());
    CHECK(redirect("{ code = 301 }") == Strings{"t:2:12: \"route.redirect.to\" is missing"});
    for (const char* code : {"200", "300", "304", "306", "309", "0"}) {
        CHECK(redirect("{ to = \"/\", code = " + std::string(code) + " }") ==
              Strings{"t:2:31: \"route.redirect.code\" must be 301, 302, 303, 307 or 308, not " +
                      std::string(code)});
    }
    for (const char* to :
         {"", "http", "www.example.com", "//x y", "/a\\r\\nSet-Cookie: x", "https://", "http:///x", "/é"}) {
        INFO(to);
        CHECK(redirect("{ to = \"" + std::string(to) + "\" }").size() == 1);
    }
    CHECK(redirect("\"https\"") == Strings{"t:2:12: \"route.redirect\" must be a table, not a string"});
}

TEST_CASE("a fixed response takes its body from a file beside the configuration") {
    const Folder folder;
    folder.write("pages/down.html", "<h1>down</h1>");
    const auto loaded = load_text("[[route]]\nrespond = { code = 503, file = \"pages/down.html\" }\n" + kRest,
                                  "t", folder.path());
    REQUIRE(loaded);
    const auto& action = std::get<RespondAction>(loaded->routes[0].action);
    CHECK(action.code == 503);
    CHECK(action.body == "<h1>down</h1>");
    CHECK(action.content_type == "text/html; charset=utf-8");
}

TEST_CASE("fixed responses are checked") {
    const Folder folder;
    folder.write("big.html", std::string((1 << 20) + 1, 'x'));
    folder.write("full.html", std::string(1 << 20, 'x'));
    const auto respond = [&](const std::string& table) {
        return to_strings(load_text("[[route]]\nrespond = " + table + "\n" + kRest, "t", folder.path()));
    };
    CHECK(respond("{ file = \"full.html\" }").empty());
    CHECK(respond("{ file = \"none.html\" }") ==
          Strings{"t:2:20: \"" + folder.path("none.html") + "\" cannot be used: No such file or directory"});
    CHECK(respond("{ file = \"big.html\" }") ==
          Strings{"t:2:20: \"" + folder.path("big.html") + "\" cannot be used: it is larger than 1MiB"});
    CHECK(respond("{ file = \".\" }") ==
          Strings{"t:2:20: \"" + folder.path(".") + "\" cannot be used: it is not a regular file"});
    CHECK(respond("{ code = 199 }") ==
          Strings{"t:2:20: \"route.respond.code\" must be from 200 to 599, not 199"});
    CHECK(respond("{ code = 600 }").size() == 1);
    CHECK(respond("{ code = 204, file = \"full.html\" }") ==
          Strings{"t:2:32: a response with code 204 cannot have a \"file\""});
}

TEST_CASE("content types go by the extension") {
    CHECK(content_type_of("a/b.HTML") == "text/html; charset=utf-8");
    CHECK(content_type_of("x.json") == "application/json");
    CHECK(content_type_of("x.tar.gz") == "application/octet-stream");
    CHECK(content_type_of("dir.html/file") == "application/octet-stream");
}

TEST_CASE("two routes for the same requests name each other") {
    CHECK(mistakes_in("[[route]]\nhost = \"a.example\"\npath = \"/x\"\npool = \"rest\"\n[[route]]\n"
                      "host = [\"b.example\", \"A.example\"]\npath = \"/x\"\npool = \"rest\"\n") ==
          Strings{"t:5:1: host \"a.example\", path \"/x\" is routed already, at t:1:1"});
    CHECK(
        mistakes_in(
            "[[route]]\npool = \"rest\"\n[[route]]\npath = \"/\"\nlistener = \"rest\"\npool = \"rest\"\n") ==
        Strings{"t:3:1: any host, path \"/\" is routed already, at t:1:1"});
    CHECK(mistakes_in(
              "[[route]]\npath = \"=/a\"\npool = \"rest\"\n[[route]]\npath = \"=/%61\"\npool = \"rest\"\n") ==
          Strings{"t:4:1: any host, path \"=/a\" is routed already, at t:1:1"});
}

TEST_CASE("routes that requests can tell apart are no conflict") {
    CHECK(mistakes_in(R"([[listener]]
name = "other"
address = "127.0.0.1:0"
[[route]]
path = "/a"
pool = "rest"
[[route]]
path = "=/a"
pool = "rest"
[[route]]
host = "*.example.com"
path = "/a"
pool = "rest"
[[route]]
path = "/b"
listener = "other"
pool = "rest"
[[route]]
path = "/b"
listener = "rest"
pool = "rest"
)")
              .empty());
}

TEST_CASE("hosts and paths are checked at their own place") {
    CHECK(
        mistakes_in(
            "[[route]]\nhost = [\"ok.example\", \"bad.example:80\"]\npath = \"admin\"\npool = \"rest\"\n") ==
        Strings{"t:2:23: \"bad.example:80\" must be a host name without a port",
                "t:3:8: \"admin\" must begin with \"/\", or with \"=/\" for one path only"});
    CHECK(mistakes_in("[[route]]\nhost = []\nlistener = []\npool = \"rest\"\n") ==
          Strings{
              "t:2:8: an empty list of hosts matches nothing; leave \"host\" out for any host",
              "t:3:12: an empty list of listeners matches nothing; leave \"listener\" out for all of them"});
    CHECK(mistakes_in(
              "[[route]]\nhost = [\"a.b\", \"A.b\"]\nlistener = [\"rest\", \"rest\"]\npool = \"rest\"\n") ==
          Strings{"t:2:16: \"A.b\" is in this list already", "t:3:21: \"rest\" is in this list already"});
}

TEST_CASE("a redirect to https is for those who do not come by it") {
    const Folder folder;
    folder.write("site.pem", "x");
    const auto load = [&](const std::string& route) {
        return to_strings(load_text("[[route]]\n" + route +
                                        "host = \"a.example\"\n[[listener]]\nname = \"plain\"\n"
                                        "address = \"127.0.0.1:0\"\n[[listener]]\nname = \"secure\"\n"
                                        "address = \"127.0.0.1:0\"\n[listener.tls]\n"
                                        "certificates = \"site.pem\"\n" +
                                        kRest,
                                    "t", folder.path()));
    };
    const std::string told =
        "clients of the listener \"secure\" come by https already and would be sent in a circle; let "
        "\"route.listener\" name the others";
    CHECK(load("listener = \"plain\"\nredirect = { to = \"https\" }\n") == Strings{});
    CHECK(load("redirect = { to = \"https\" }\n") == Strings{"t:2:1: " + told});
    CHECK(load("listener = [\"plain\", \"secure\"]\nredirect = { to = \"https\" }\n") ==
          Strings{"t:3:1: " + told});
    CHECK(load("redirect = { to = \"https://b.example/\" }\n") == Strings{});
}

}  // namespace
}  // namespace palier::config
