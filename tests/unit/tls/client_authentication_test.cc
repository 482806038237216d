#include "handshake.h"

namespace palier::tls {
namespace {

struct Clients {
    Clients() {
        folder.write("in/a.pem", issue_for("a.example").both());
        config.client_ca = folder.write("ca.pem", authority.pem());
    }

    [[nodiscard]] Server server(config::ClientAuth auth, std::shared_ptr<const TicketKeys> keys = nullptr) {
        config.client_auth = auth;
        return Server({folder.path("in")}, config, "https", {}, std::move(keys));
    }
    [[nodiscard]] Issued client(std::int64_t until_s = kDay) const {
        return issue({.common_name = "client", .until_s = until_s}, &authority);
    }

    Folder folder;
    Issued authority = issue({.common_name = "clients' authority", .authority = true});
    config::ListenerTlsConfig config;
};

Outcome meet(const Server& server, int version, const Issued* certificate, SSL_SESSION* session = nullptr) {
    return server.meet(
        {.name = "a.example", .version = version, .session = session, .certificate = certificate});
}

TEST_CASE("a required client certificate is verified") {
    Clients clients;
    const Server server = clients.server(config::ClientAuth::required);
    const Issued good = clients.client();
    const Issued expired = clients.client(-3600);
    const Issued foreign = issue({.common_name = "client"});
    const Issued impostor_authority = issue({.common_name = "clients' authority", .authority = true});
    const Issued impostor = issue({.common_name = "client"}, &impostor_authority);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Outcome outcome = meet(server, version, &good);
        CHECK(outcome.done);
        CHECK(outcome.verify == X509_V_OK);
        CHECK_FALSE(meet(server, version, nullptr).done);
        CHECK_FALSE(meet(server, version, &expired).done);
        CHECK_FALSE(meet(server, version, &foreign).done);
        CHECK_FALSE(meet(server, version, &impostor).done);
    }
}

TEST_CASE("an optional client certificate may be missing, but not bad") {
    Clients clients;
    const Server server = clients.server(config::ClientAuth::optional);
    const Issued good = clients.client();
    const Issued foreign = issue({.common_name = "client"});
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CHECK(meet(server, version, &good).done);
        CHECK(meet(server, version, nullptr).done);
        CHECK_FALSE(meet(server, version, &foreign).done);
    }
}

TEST_CASE("clients are not asked when that is off") {
    Clients clients;
    const Server server = clients.server(config::ClientAuth::off);
    const Issued foreign = issue({.common_name = "client"});
    CHECK(meet(server, TLS1_3_VERSION, &foreign).done);
}

TEST_CASE("an intermediate authority may be trusted by itself") {
    Clients clients;
    const Issued middle = issue({.common_name = "middle", .authority = true}, &clients.authority);
    const Issued good = issue({.common_name = "client"}, &middle);
    const Issued sibling = clients.client();
    clients.config.client_ca = clients.folder.write("middle.pem", middle.pem());
    const Server server = clients.server(config::ClientAuth::required);
    CHECK(meet(server, TLS1_3_VERSION, &good).done);
    CHECK_FALSE(meet(server, TLS1_3_VERSION, &sibling).done);
}

TEST_CASE("clients' sessions resume, but under no other rules") {
    Clients clients;
    const Server required = clients.server(config::ClientAuth::required);
    const Server optional = clients.server(config::ClientAuth::optional, required.tickets);
    const Server off = clients.server(config::ClientAuth::off, required.tickets);
    const Issued other = issue({.common_name = "another authority", .authority = true});
    clients.config.client_ca = clients.folder.write("other.pem", other.pem());
    const Server elsewhere = clients.server(config::ClientAuth::required, required.tickets);
    const Issued good = clients.client();
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Outcome first = meet(required, version, &good);
        REQUIRE(first.session != nullptr);
        const Outcome again = meet(required, version, &good, first.session.get());
        CHECK(again.resumed);
        CHECK(again.verify == X509_V_OK);
        CHECK_FALSE(meet(elsewhere, version, &good, first.session.get()).done);
        const Outcome anonymous = meet(optional, version, nullptr);
        REQUIRE(anonymous.session != nullptr);
        CHECK_FALSE(meet(required, version, nullptr, anonymous.session.get()).done);
        const Outcome unasked = meet(off, version, nullptr);
        REQUIRE(unasked.session != nullptr);
        CHECK_FALSE(meet(required, version, nullptr, unasked.session.get()).done);
    }
}

TEST_CASE("a session ends with the client certificate that it was made with") {
    Clients clients;
    const Server server = clients.server(config::ClientAuth::required);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const Issued brief = clients.client(2);
        const Outcome first = meet(server, version, &brief);
        REQUIRE(first.done);
        REQUIRE(first.session != nullptr);
        while (X509_cmp_current_time(X509_get0_notAfter(brief.certificate.get())) > 0)
            ::usleep(20'000);
        CHECK_FALSE(meet(server, version, &brief, first.session.get()).done);
    }
}

TEST_CASE("what clients cannot be verified with is told") {
    Clients clients;
    const auto error = [&](const std::string& ca) {
        clients.config.client_ca = ca;
        return clients.server(config::ClientAuth::required).error;
    };
    const std::string gone = clients.folder.path("gone.pem");
    const std::string empty = clients.folder.write("empty.pem", "");
    const std::string broken = clients.folder.write("broken.pem", clients.authority.pem().substr(0, 200));
    const std::string damaged =
        clients.folder.write("damaged.pem", "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n");
    CHECK(error("") == "client_auth: there is no client_ca to verify clients with");
    CHECK(error(gone) == "client_ca: " + gone + ": No such file or directory");
    CHECK(error(empty) == "client_ca: " + empty + ": there is no certificate in it");
    CHECK(error(broken) == "client_ca: " + broken + ": a block \"CERTIFICATE\" does not end");
    CHECK(error(damaged) == "client_ca: " + damaged + ": a certificate in it is damaged");
}

}  // namespace
}  // namespace palier::tls
