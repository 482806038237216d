#include "palier/proxy/router.h"

#include "catch.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

using palier::config::Config;
using palier::config::RespondAction;
using palier::config::RouteConfig;
using palier::proxy::Router;

namespace {

/// A route as a configuration file says it, "=" for an exact path included; its content type is its name.
RouteConfig route(const std::string& name, std::vector<std::string> hosts, const std::string& path = "/") {
    RouteConfig route;
    route.hosts = std::move(hosts);
    route.exact = path.starts_with("=");
    route.path = route.exact ? path.substr(1) : path;
    route.action = RespondAction{200, "", name};
    return route;
}

std::string name_of(const RouteConfig* route) {
    return route == nullptr ? "none" : std::get<RespondAction>(route->action).content_type;
}

/// A configuration and its router.
struct Fixture {
    explicit Fixture(std::vector<RouteConfig> routes, std::size_t listener = 0)
        : config(with(std::move(routes))), router(config, listener) {}

    static Config with(std::vector<RouteConfig> routes) {
        Config config;
        config.routes = std::move(routes);
        return config;
    }
    [[nodiscard]] std::string find(std::string_view host, std::string_view path = "/") const {
        return name_of(router.find(host, path));
    }

    Config config;
    Router router;
};

bool wildcard_matches(const std::string& pattern, const std::string& host) {
    return host.size() >= pattern.size() && host.ends_with(pattern.substr(1));
}

/// 0: no match; the higher, the more specific.
std::size_t host_rank(const RouteConfig& route, const std::string& host) {
    if (route.hosts.empty()) return 1;
    std::size_t rank = 0;
    for (const std::string& pattern : route.hosts) {
        if (pattern == host) return 1'000;
        if (pattern.starts_with("*.") && wildcard_matches(pattern, host))
            rank = std::max(rank, pattern.size());
    }
    return rank;
}

std::size_t path_rank(const RouteConfig& route, const std::string& path) {
    if (route.exact) return route.path == path ? 1'000 : 0;
    return path.starts_with(route.path) ? route.path.size() : 0;
}

/// The rules said once more, as slowly and plainly as can be.
const RouteConfig* find_plainly(const Config& config, const std::string& host, const std::string& path) {
    const RouteConfig* best = nullptr;
    std::pair<std::size_t, std::size_t> best_rank{0, 0};
    for (const RouteConfig& route : config.routes) {
        const std::pair rank{host_rank(route, host), path_rank(route, path)};
        if (rank.first == 0 || rank.second == 0 || rank <= best_rank) continue;
        best = &route;
        best_rank = rank;
    }
    return best;
}

}  // namespace

TEST_CASE("no route, no match") {
    const Fixture routes({});
    CHECK(routes.find("example.com") == "none");
}

TEST_CASE("a single route for any host and path takes everything") {
    const Fixture routes({route("all", {})});
    CHECK(routes.find("example.com", "/") == "all");
    CHECK(routes.find("", "/some/where") == "all");
    CHECK(routes.find(std::string(5'000, 'a'), "/") == "all");
}

TEST_CASE("an exact host wins over wildcards, the longest wildcard over shorter ones, and those over any") {
    const Fixture routes({route("any", {}), route("com", {"*.com"}), route("example", {"*.example.com"}),
                          route("shop", {"shop.example.com"}), route("apex", {"example.com"})});
    CHECK(routes.find("shop.example.com") == "shop");
    CHECK(routes.find("a.example.com") == "example");
    CHECK(routes.find("b.a.example.com") == "example");
    CHECK(routes.find("x.shop.example.com") == "example");
    CHECK(routes.find("example.com") == "apex");
    CHECK(routes.find("other.com") == "com");
    CHECK(routes.find("notexample.com") == "com");
    CHECK(routes.find("example.org") == "any");
    CHECK(routes.find("com") == "any");
    CHECK(routes.find("") == "any");
}

TEST_CASE("a wildcard does not match its own parent") {
    const Fixture routes({route("wild", {"*.example.com"})});
    CHECK(routes.find("a.example.com") == "wild");
    CHECK(routes.find("example.com") == "none");
    CHECK(routes.find(".example.com") == "none");
    CHECK(routes.find("xexample.com") == "none");
}

TEST_CASE("hosts are compared without case and without a final dot") {
    const Fixture routes({route("shop", {"shop.example.com"}), route("wild", {"*.example.com"})});
    CHECK(routes.find("SHOP.Example.COM") == "shop");
    CHECK(routes.find("shop.example.com.") == "shop");
    CHECK(routes.find("Www.EXAMPLE.com.") == "wild");
    CHECK(routes.find("shop.example.com..") == "none");
}

TEST_CASE("hosts that no name can be find only the routes for any host") {
    const Fixture routes({route("shop", {"shop.example.com"}), route("wild", {"*.com"}), route("any", {})});
    CHECK(routes.find(std::string(252, 'a') + ".com") == "any");
    CHECK(routes.find(std::string(251, 'a') + ".com") == "wild");
    CHECK(routes.find(std::string(100'000, '.')) == "any");
    CHECK(routes.find(".") == "any");
    CHECK(routes.find(std::string_view("shop.example.com\0", 17)) == "any");
}

TEST_CASE("addresses are hosts like others") {
    const Fixture routes({route("v4", {"192.0.2.1"}), route("v6", {"[2001:db8::1]"})});
    CHECK(routes.find("192.0.2.1") == "v4");
    CHECK(routes.find("[2001:DB8::1]") == "v6");
}

TEST_CASE("an exact path wins over prefixes, and the longest prefix over shorter ones") {
    const Fixture routes({route("root", {}), route("admin", {}, "/admin/"),
                          route("users", {}, "/admin/users"), route("exact", {}, "=/admin/"),
                          route("ad", {}, "/ad")});
    CHECK(routes.find("h", "/") == "root");
    CHECK(routes.find("h", "/admin/") == "exact");
    CHECK(routes.find("h", "/admin/x") == "admin");
    CHECK(routes.find("h", "/admin/users") == "users");
    CHECK(routes.find("h", "/admin/users/1") == "users");
    CHECK(routes.find("h", "/admin/usersmore") == "users");  // a prefix of the string, as in nginx
    CHECK(routes.find("h", "/admin") == "ad");
    CHECK(routes.find("h", "/adz") == "ad");
    CHECK(routes.find("h", "/a") == "root");
    CHECK(routes.find("h", "/Admin/x") == "root");
    CHECK(routes.find("h", "/zzz") == "root");
}

TEST_CASE("bytes beyond ASCII sort and match as bytes") {
    const Fixture routes({route("root", {}), route("e", {}, "/\xc3\xa9/"), route("z", {}, "/z/")});
    CHECK(routes.find("h", "/\xc3\xa9/x") == "e");
    CHECK(routes.find("h", "/\xc3\xaa/x") == "root");
    CHECK(routes.find("h", "/z/x") == "z");
}

TEST_CASE("where a host has no route for the path, the next less specific host is asked") {
    const Fixture routes({route("any", {}, "/health"), route("com", {"*.com"}, "/com/"),
                          route("wild", {"*.example.com"}, "/static/"),
                          route("shop", {"shop.example.com"}, "/cart/")});
    CHECK(routes.find("shop.example.com", "/cart/1") == "shop");
    CHECK(routes.find("shop.example.com", "/static/x") == "wild");
    CHECK(routes.find("shop.example.com", "/com/x") == "com");
    CHECK(routes.find("shop.example.com", "/health") == "any");
    CHECK(routes.find("shop.example.com", "/") == "none");
}

TEST_CASE("one route may have several hosts") {
    const Fixture routes({route("both", {"a.example.com", "*.example.org"})});
    CHECK(routes.find("a.example.com") == "both");
    CHECK(routes.find("b.example.org") == "both");
    CHECK(routes.find("b.example.com") == "none");
}

TEST_CASE("a listener sees its own routes and those for all") {
    std::vector<RouteConfig> routes{route("first", {}, "/x"), route("second", {}, "/x"), route("all", {})};
    routes[0].listeners = {0};
    routes[1].listeners = {1, 2};
    const Fixture first(routes, 0);
    const Fixture second(routes, 1);
    const Fixture fourth(routes, 3);
    CHECK(first.find("h", "/x") == "first");
    CHECK(second.find("h", "/x") == "second");
    CHECK(fourth.find("h", "/x") == "all");
}

TEST_CASE("10,000 random routes agree with the plain search") {
    const unsigned seed = GENERATE(1U, 2U);
    // Few letters and short names, so that patterns nest and nearly match.
    const std::string letters = GENERATE(as<std::string>{}, "ab", "abcdefgh");
    std::mt19937 random(seed);
    const auto below = [&](std::size_t limit) { return random() % limit; };
    const auto word = [&](std::size_t longest) {
        std::string text;
        for (std::size_t left = 1 + below(longest); left > 0; --left)
            text += letters[below(letters.size())];
        return text;
    };
    const auto host = [&] {
        std::string text = word(2);
        for (std::size_t labels = below(4); labels > 0; --labels)
            text += "." + word(2);
        return text;
    };
    const auto path = [&] {
        std::string text = "/";
        for (std::size_t parts = below(4); parts > 0; --parts)
            text += word(3) + (below(3) == 0 ? "" : "/");
        return text;
    };

    Config config;
    while (config.routes.size() < 10'000) {
        const std::size_t kind = below(8);
        std::vector<std::string> hosts;
        if (kind > 0) hosts.push_back(kind < 4 ? "*." + host() : host());
        if (below(2) == 0) hosts.push_back(host());
        config.routes.push_back(route("", hosts, (below(4) == 0 ? "=" : "") + path()));
    }
    // Two equal routes are a mistake in a configuration; here the first of them stays.
    std::set<std::string> seen;
    std::erase_if(config.routes, [&](RouteConfig& each) {
        const std::string key = (each.exact ? "=" : "") + each.path;
        if (each.hosts.empty()) return !seen.emplace(" " + key).second;
        std::erase_if(each.hosts, [&](const std::string& name) { return !seen.emplace(name + key).second; });
        return each.hosts.empty();
    });
    REQUIRE(config.routes.size() > 1'000);

    const Router router(config, 0);
    std::size_t matched = 0;
    for (int i = 0; i < 500; ++i) {
        const std::string asked_host = host();
        const std::string asked_path = path();
        const RouteConfig* expected = find_plainly(config, asked_host, asked_path);
        if (expected != nullptr) ++matched;
        if (router.find(asked_host, asked_path) != expected) {
            FAIL(asked_host << asked_path << ": not " << (expected == nullptr ? "none" : expected->path));
        }
    }
    CHECK(matched > 250);
}
