#include "palier/tls/server_context.h"

#include "handshake.h"

#include <algorithm>

namespace palier::tls {
namespace {

using namespace std::string_literals;

constexpr int kHandshakeFailure = 40;
constexpr int kUnrecognizedName = 112;
constexpr int kProtocolVersion = 70;
constexpr int kNoApplicationProtocol = 120;

config::ListenerTlsConfig with_default(const std::string& name) {
    config::ListenerTlsConfig config;
    config.default_name = name;
    return config;
}

TEST_CASE("the certificate is the one for the name that the client asks for, else the default") {
    const Folder folder;
    const Issued a = issue_for("a.example");
    const Issued b = issue_for("b.example");
    const Issued wildcard = issue_for("*.b.example");
    folder.write("a.pem", a.both());
    folder.write("b.pem", b.both());
    folder.write("w.pem", wildcard.both());
    const Server server({folder.path()}, with_default("a.example"));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto serial = [&](const std::string& name) {
            const Outcome outcome = server.meet({.name = name, .version = version});
            CHECK(outcome.done);
            CHECK(outcome.seen_name == name);
            return outcome.serial;
        };
        CHECK(serial("a.example") == serial_of(a));
        CHECK(serial("b.example") == serial_of(b));
        CHECK(serial("B.Example") == serial_of(b));
        CHECK(serial("b.example.") == serial_of(b));
        CHECK(serial("x.b.example") == serial_of(wildcard));
        CHECK(serial("unknown.example") == serial_of(a));
        CHECK(serial("192.0.2.1") == serial_of(a));
        CHECK(serial("no host") == serial_of(a));
        CHECK(serial("") == serial_of(a));
    }
}

TEST_CASE("without a default, an unknown or missing name is refused with the alert for it") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    const Server server({folder.path()});
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CHECK(server.meet({.name = "a.example", .version = version}).done);
        for (const char* name : {"b.example", "", "192.0.2.1"}) {
            const Outcome outcome = server.meet({.name = name, .version = version});
            CHECK_FALSE(outcome.done);
            CHECK(outcome.alert == kUnrecognizedName);
        }
    }
}

TEST_CASE("a default without a certificate refuses as if there were none") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    const Server server({folder.path()}, with_default("gone.example"));
    CHECK(server.visit("a.example").done);
    CHECK(server.visit("b.example").alert == kUnrecognizedName);
}

TEST_CASE("of RSA and ECDSA certificates the client's algorithms decide") {
    const Folder folder;
    const Issued rsa = issue({.names = {"a.example"}, .key = TestKey::rsa});
    const Issued ecdsa = issue_for("a.example");
    folder.write("rsa.pem", rsa.both());
    folder.write("ecdsa.pem", ecdsa.both());
    const Server server({folder.path()});
    CHECK(server.meet({.name = "a.example", .signatures = "RSA-PSS+SHA256"}).serial == serial_of(rsa));
    CHECK(server.meet({.name = "a.example", .signatures = "ECDSA+SHA256"}).serial == serial_of(ecdsa));
    const auto serial_with = [&](const char* ciphers) {
        return server.meet({.name = "a.example", .version = TLS1_2_VERSION, .ciphers = ciphers}).serial;
    };
    CHECK(serial_with("ECDHE-RSA-AES128-GCM-SHA256") == serial_of(rsa));
    CHECK(serial_with("ECDHE-ECDSA-AES128-GCM-SHA256") == serial_of(ecdsa));
    CHECK(server.visit("a.example").serial == serial_of(ecdsa));
}

TEST_CASE("Ed25519 certificates serve") {
    const Folder folder;
    const Issued issued = issue({.names = {"a.example"}, .key = TestKey::ed25519});
    folder.write("a.pem", issued.both());
    CHECK(Server({folder.path()}).visit("a.example").serial == serial_of(issued));
}

TEST_CASE("the whole chain is sent, also of the second handshake's certificate") {
    const Folder folder;
    const Issued root = issue({.common_name = "root", .authority = true});
    const Issued middle = issue({.common_name = "middle", .authority = true}, &root);
    folder.write("a.pem", issue({.names = {"a.example"}}, &middle).both() + middle.pem());
    const Server server({folder.path()});
    CHECK(server.visit("a.example").chain == 1);
    CHECK(server.visit("a.example").chain == 1);
}

TEST_CASE("a client that sends a hello again after a retry request gets the same certificate") {
    const Folder folder;
    const Issued issued = issue_for("a.example");
    folder.write("a.pem", issued.both());
    config::ListenerTlsConfig config;
    config.groups = "P-384";
    const Server server({folder.path()}, config);
    // Its first share is for the first group.
    const Outcome outcome = server.meet({.name = "a.example", .groups = "X25519:P-384"});
    CHECK(outcome.done);
    CHECK(outcome.serial == serial_of(issued));
}

TEST_CASE("the server prefers h2, and refuses clients that speak nothing it does") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    const std::string both = "\x08http/1.1\x02h2"s;
    const auto protocol = [&](bool http2, bool http1, const std::string& offered) {
        config::ListenerTlsConfig config;
        config.http2 = http2;
        config.http1 = http1;
        const Outcome outcome =
            Server({folder.path()}, config).meet({.name = "a.example", .protocols = offered});
        return outcome.done ? outcome.protocol : "alert " + std::to_string(outcome.alert);
    };
    CHECK(protocol(true, true, both) == "h2");
    CHECK(protocol(true, true, "\x08http/1.1"s) == "http/1.1");
    CHECK(protocol(false, true, both) == "http/1.1");
    CHECK(protocol(true, false, both) == "h2");
    CHECK(protocol(true, true, "").empty());
    CHECK(protocol(true, true, "\x08http/1.0"s) == "alert " + std::to_string(kNoApplicationProtocol));
    CHECK(protocol(false, true, "\x02h2"s) == "alert " + std::to_string(kNoApplicationProtocol));
}

TEST_CASE("the least version is kept") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    config::ListenerTlsConfig config;
    config.min_version = config::TlsVersion::tls_1_3;
    const Server server({folder.path()}, config);
    CHECK(server.meet({.name = "a.example", .version = TLS1_3_VERSION}).done);
    const Outcome old = server.meet({.name = "a.example", .version = TLS1_2_VERSION});
    CHECK_FALSE(old.done);
    CHECK(old.alert == kProtocolVersion);
}

TEST_CASE("weak ciphers of TLS 1.2 are refused, and the server's order counts") {
    const Folder folder;
    folder.write("ecdsa.pem", issue_for("a.example").both());
    folder.write("rsa.pem", issue({.names = {"a.example"}, .key = TestKey::rsa}).both());
    const Server server({folder.path()});
    const auto cipher = [&](const char* ciphers) {
        const Outcome outcome =
            server.meet({.name = "a.example", .version = TLS1_2_VERSION, .ciphers = ciphers});
        return outcome.done ? outcome.cipher : "alert " + std::to_string(outcome.alert);
    };
    const std::string refused = "alert " + std::to_string(kHandshakeFailure);
    CHECK(cipher("AES128-GCM-SHA256") == refused);     // RSA key exchange
    CHECK(cipher("ECDHE-RSA-AES128-SHA") == refused);  // CBC
    CHECK(cipher("DHE-RSA-AES128-GCM-SHA256") == refused);
    CHECK(cipher("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256") ==
          "ECDHE-ECDSA-AES128-GCM-SHA256");
    CHECK(cipher("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256") ==
          "ECDHE-ECDSA-CHACHA20-POLY1305");
    CHECK(server.meet({.name = "a.example", .suites = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"})
              .cipher == "TLS_AES_128_GCM_SHA256");
}

TEST_CASE("ciphers, suites and groups may be chosen") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    config::ListenerTlsConfig config;
    config.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:!aNULL";
    config.ciphersuites = "TLS_AES_256_GCM_SHA384";
    config.groups = "P-256";
    const Server server({folder.path()}, config);
    CHECK(server.meet({.name = "a.example", .version = TLS1_2_VERSION}).cipher ==
          "ECDHE-ECDSA-AES256-GCM-SHA384");
    CHECK(server.visit("a.example").cipher == "TLS_AES_256_GCM_SHA384");
    CHECK_FALSE(server.meet({.name = "a.example", .groups = "X25519"}).done);
}

TEST_CASE("a name that OpenSSL does not know is told, not ignored") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    const auto error = [&](auto set) {
        config::ListenerTlsConfig config;
        set(config);
        return Server({folder.path()}, config).error;
    };
    CHECK(error([](auto& c) { c.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-TYPO"; }) ==
          "ciphers: OpenSSL does not know \"ECDHE-TYPO\"");
    CHECK(error([](auto& c) { c.ciphersuites = "TLS_AES_129_GCM_SHA256"; }) ==
          "ciphersuites: OpenSSL does not know \"TLS_AES_129_GCM_SHA256\"");
    CHECK(error([](auto& c) { c.groups = "X25519:P-257"; }) == "groups: OpenSSL does not know \"P-257\"");
    CHECK(error([](auto& c) { c.ciphers = "!ALL"; }).starts_with("ciphers: OpenSSL refuses \"!ALL\""));
}

TEST_CASE("connections outlive the context that started them") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    SslPtr ssl;
    {
        const Server server({folder.path()});
        ssl.reset(server.context->start());
    }
    REQUIRE(ssl != nullptr);
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    bool failed = false;
    CHECK_FALSE(handshake::step(ssl.get(), failed));
    CHECK_FALSE(failed);
}

TEST_CASE("there is no early data, no renegotiation, no compression, and truncation is noticed") {
    const Folder folder;
    folder.write("a.pem", issue_for("a.example").both());
    const Server server({folder.path()});
    const SslPtr ssl(server.context->start());
    const std::uint64_t options = SSL_get_options(ssl.get());
    CHECK((options & SSL_OP_NO_RENEGOTIATION) != 0);
    CHECK((options & SSL_OP_NO_COMPRESSION) != 0);
    CHECK((options & SSL_OP_IGNORE_UNEXPECTED_EOF) == 0);
    CHECK(SSL_get_max_early_data(ssl.get()) == 0);
    CHECK((SSL_get_mode(ssl.get()) & SSL_MODE_ENABLE_PARTIAL_WRITE) == 0);
    CHECK((SSL_get_mode(ssl.get()) & SSL_MODE_RELEASE_BUFFERS) != 0);
    CHECK((SSL_get_mode(ssl.get()) & SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER) != 0);
}

}  // namespace
}  // namespace palier::tls
