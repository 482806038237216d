// Resumption: where a ticket opens, and where it must not.
#include "handshake.h"

namespace palier::tls {
namespace {

/// Milliseconds, set by the test.
std::uint64_t now_ms = 0;
std::uint64_t test_clock() {
    return now_ms;
}

struct TwoSites {
    TwoSites() {
        folder.write("a.pem", issue({.names = {"a.example", "*.w.example"}}).both());
        folder.write("b.pem", issue_for("b.example").both());
    }
    Folder folder;
};

TEST_CASE("a session resumes, with one ticket for each connection") {
    const TwoSites sites;
    const Server server({sites.folder.path()});
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Outcome first = server.meet({.name = "a.example", .version = version});
        REQUIRE(first.done);
        CHECK_FALSE(first.resumed);
        CHECK(first.tickets == 1);
        REQUIRE(first.session != nullptr);
        const Outcome second =
            server.meet({.name = "a.example", .version = version, .session = first.session.get()});
        CHECK(second.done);
        CHECK(second.resumed);
        CHECK(second.seen_name == "a.example");
    }
}

TEST_CASE("a ticket for one name resumes under no other, not even of the same certificate") {
    const TwoSites sites;
    config::ListenerTlsConfig config;
    config.default_name = "a.example";
    const Server server({sites.folder.path()}, config);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto resumes = [&](const std::string& from, const std::string& to) {
            const Outcome first = server.meet({.name = from, .version = version});
            REQUIRE(first.session != nullptr);
            const Outcome second =
                server.meet({.name = to, .version = version, .session = first.session.get()});
            CHECK(second.done);
            return second.resumed;
        };
        CHECK(resumes("a.example", "a.example"));
        CHECK(resumes("x.w.example", "x.w.example"));
        CHECK_FALSE(resumes("a.example", "b.example"));
        CHECK_FALSE(resumes("b.example", "unknown.example"));
        CHECK_FALSE(resumes("a.example", "x.w.example"));
        CHECK_FALSE(resumes("x.w.example", "y.w.example"));
    }
}

TEST_CASE("a ticket of one listener does not resume at another with the same keys") {
    const TwoSites sites;
    const Server one({sites.folder.path()}, {}, "one");
    const Server same({sites.folder.path()}, {}, "one", {}, one.tickets);
    const Server other({sites.folder.path()}, {}, "other", {}, one.tickets);
    const Outcome first = one.visit("a.example");
    REQUIRE(first.session != nullptr);
    CHECK(same.meet({.name = "a.example", .session = first.session.get()}).resumed);
    const Outcome elsewhere = other.meet({.name = "a.example", .session = first.session.get()});
    CHECK(elsewhere.done);
    CHECK_FALSE(elsewhere.resumed);
}

TEST_CASE("a session survives one change of keys, and is renewed with the new one") {
    const TwoSites sites;
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        now_ms = 1'000;
        const Server server({sites.folder.path()}, {}, "https", {}, *TicketKeys::random(&test_clock));
        const Outcome first = server.meet({.name = "a.example", .version = version});
        REQUIRE(first.session != nullptr);

        now_ms += TicketKeys::kRotateMs;
        const Outcome second =
            server.meet({.name = "a.example", .version = version, .session = first.session.get()});
        CHECK(second.resumed);
        CHECK(second.tickets == 1);
        REQUIRE(second.session != nullptr);

        now_ms += TicketKeys::kRotateMs;
        const Outcome third =
            server.meet({.name = "a.example", .version = version, .session = second.session.get()});
        CHECK(third.resumed);
        const Outcome late =
            server.meet({.name = "a.example", .version = version, .session = first.session.get()});
        CHECK(late.done);
        CHECK_FALSE(late.resumed);
    }
}

TEST_CASE("machines that share a file of keys resume each other's sessions") {
    const TwoSites sites;
    const std::string old_key(80, 'o');
    const std::string new_key(80, 'n');
    const auto keys_of = [&](const std::string& name, const std::string& bytes) {
        auto keys = TicketKeys::from_file(sites.folder.write(name, bytes));
        REQUIRE(keys);
        return *keys;
    };
    const Server one({sites.folder.path()}, {}, "https", {}, keys_of("1", old_key));
    const Server two({sites.folder.path()}, {}, "https", {}, keys_of("2", new_key + old_key));
    const Server stranger({sites.folder.path()}, {}, "https", {}, keys_of("3", new_key));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Outcome first = one.meet({.name = "a.example", .version = version});
        REQUIRE(first.session != nullptr);
        const ClientWish again{.name = "a.example", .version = version, .session = first.session.get()};
        CHECK_FALSE(stranger.meet(again).resumed);
        const Outcome second = two.meet(again);
        CHECK(second.resumed);
        // Sealed anew with the first key of the second file, which the stranger has.
        REQUIRE(second.session != nullptr);
        CHECK(stranger.meet({.name = "a.example", .version = version, .session = second.session.get()})
                  .resumed);
    }
}

TEST_CASE("a session outlives the renewal of its certificate") {
    const TwoSites sites;
    const Server server({sites.folder.path()});
    const Outcome first = server.visit("b.example");
    REQUIRE(first.session != nullptr);
    sites.folder.replace("b.pem", issue_for("b.example").both());
    server.store->refresh();
    CHECK(server.meet({.name = "b.example", .session = first.session.get()}).resumed);
}

}  // namespace
}  // namespace palier::tls
