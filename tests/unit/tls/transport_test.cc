// Two transports over a socket pair: a server with a certificate, and a client that knows its issuer.
#include "palier/tls/transport.h"

#include "../net/loop_fixture.h"
#include "certificates.h"
#include "palier/tls/certificate_store.h"
#include "palier/tls/client_context.h"
#include "palier/tls/digest.h"
#include "palier/tls/server_context.h"
#include "palier/tls/ticket_keys.h"

#include <array>
#include <string>

namespace palier::tls {
namespace {

using test::Descriptor;
using test::RecordingWatcher;

std::shared_ptr<const ServerContext> make_server(const Folder& folder) {
    config::ListenerTlsConfig config;
    config.default_name = "server.test";
    auto store = std::make_shared<CertificateStore>(std::vector<std::string>{folder.path("certs")});
    store->refresh();
    auto made = ServerContext::make(config, "https", store, *TicketKeys::random());
    REQUIRE(made.has_value());
    return *made;
}

/// What both ends share.
struct Site {
    explicit Site(const Wish& wish = {.names = {"server.test"}})
        : issuer(issue({.common_name = "issuer", .authority = true})) {
        folder.write("certs/server.pem", issue(wish, &issuer).both());
        folder.write("ca.pem", issuer.pem());
        server = make_server(folder);
    }

    [[nodiscard]] std::shared_ptr<const ClientContext> client(const config::BackendTlsConfig& config) const {
        auto made = ClientContext::make(config, "server.test");
        REQUIRE(made.has_value());
        return *made;
    }
    [[nodiscard]] config::BackendTlsConfig believing() const {
        return {.verify = true, .ca = folder.path("ca.pem"), .server_name = ""};
    }

    Folder folder;
    Issued issuer;
    std::shared_ptr<const ServerContext> server;
    base::BufferCache cache;
    Workspace workspace{cache};
};

class End final : public net::Watcher {
  public:
    End(net::Loop& loop, Descriptor descriptor) {
        ::fcntl(descriptor.get(), F_SETFL, O_NONBLOCK);
        REQUIRE(transport.socket().adopt(loop, descriptor.release(), *this));
    }
    void on_events(std::uint32_t ready) override { transport.note(ready); }

    /// All that there is to read now.
    std::string read() {
        std::string all;
        std::array<char, 1000> bytes;
        while (transport.readable()) {
            last = transport.read(bytes.data(), bytes.size());
            if (last.status != net::IoStatus::ok) break;
            all.append(bytes.data(), last.size);
        }
        return all;
    }

    Transport transport;
    net::IoResult last;
};

/// A pair in the middle of nothing: shake_hands() is to come.
struct Pair {
    explicit Pair(Site& site, std::shared_ptr<const ClientContext> trust)
        : Pair(test::socket_pair(), site, std::move(trust)) {}
    Pair(std::pair<Descriptor, Descriptor> ends, Site& site, std::shared_ptr<const ClientContext> trust)
        : server(loop, std::move(ends.first)),
          client(loop, std::move(ends.second)),
          context(std::move(trust)) {
        REQUIRE(server.transport.start_server(*site.server, site.workspace));
        REQUIRE(client.transport.start_client(*context, site.workspace));
    }
    /// What the two ends say in the end.
    std::pair<Handshake, Handshake> shake_hands() {
        Handshake at_server = Handshake::again;
        Handshake at_client = Handshake::again;
        for (int turn = 0; turn < 50; ++turn) {
            if (at_client == Handshake::again) at_client = client.transport.handshake();
            loop.run_once(1);
            if (at_server == Handshake::again) at_server = server.transport.handshake();
            loop.run_once(1);
            if (at_server != Handshake::again && at_client != Handshake::again) break;
        }
        return {at_server, at_client};
    }

    net::Loop loop;
    End server;
    End client;
    std::shared_ptr<const ClientContext> context;
};

}  // namespace

TEST_CASE("a transport without TLS is its socket") {
    net::Loop loop;
    auto [ours, theirs] = test::socket_pair();
    End end(loop, std::move(ours));
    CHECK_FALSE(end.transport.encrypted());
    CHECK(end.transport.write("hello").size == 5);
    CHECK(theirs.receive() == "hello");
    theirs.send("back");
    loop.run_once(10);
    CHECK(end.read() == "back");
    CHECK(end.transport.quiet());
    end.transport.shutdown_write();
    CHECK(theirs.receive().empty());
}

TEST_CASE("two transports speak TLS, and what one writes the other reads") {
    Site site;
    Pair pair(site, site.client(site.believing()));
    REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
    CHECK(pair.server.transport.server_name() == "server.test");
    CHECK(pair.server.transport.version() == "TLSv1.3");
    CHECK_FALSE(pair.server.transport.speaks_http2());
    CHECK(pair.server.transport.client_subject().empty());

    CHECK(pair.client.transport.write("a question").size == 10);
    pair.loop.run_once(10);
    CHECK(pair.server.read() == "a question");
    CHECK_FALSE(pair.server.transport.readable());
    // Several records in one write, read in pieces smaller than a record.
    const std::string large(100'000, 'x');
    std::string got;
    std::size_t sent = pair.server.transport.write(large).size;
    CHECK(sent == large.size());
    for (int turn = 0; turn < 200 && got.size() < large.size(); ++turn) {
        pair.loop.run_once(5);
        got += pair.client.read();
        static_cast<void>(pair.server.transport.flush());
    }
    CHECK(got == large);
    CHECK_FALSE(pair.server.transport.sealed());
}

TEST_CASE("a peer that does not read costs what it was given once, and no more is taken") {
    Site site;
    Pair pair(site, site.client(site.believing()));
    REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
    const std::string large(256 * 1024, 'x');
    std::size_t taken = 0;
    while (!pair.server.transport.sealed()) {
        const net::IoResult sent = pair.server.transport.write(large);
        REQUIRE(sent.status == net::IoStatus::ok);
        taken += sent.size;
        REQUIRE(taken < 64 * large.size());
    }
    CHECK(pair.server.transport.write("more").status == net::IoStatus::would_block);
    CHECK(pair.server.transport.flush().status == net::IoStatus::would_block);
    // Part of it goes: that is progress, and is said.
    net::IoResult part;
    std::array<char, 16 * 1024> bytes;
    std::size_t early = 0;
    for (int reads = 0; reads < 100 && part.size == 0; ++reads) {
        pair.loop.run_once(1);
        early += pair.client.transport.read(bytes.data(), bytes.size()).size;
        part = pair.server.transport.flush();
    }
    CHECK(part.status == net::IoStatus::would_block);
    CHECK(part.size > 0);
    std::size_t got = early;
    for (int turn = 0; turn < 2000 && got < taken; ++turn) {
        pair.loop.run_once(5);
        got += pair.client.read().size();
        static_cast<void>(pair.server.transport.flush());
    }
    CHECK(got == taken);
    CHECK_FALSE(pair.server.transport.sealed());
    CHECK(pair.server.transport.write("more").status == net::IoStatus::ok);
}

TEST_CASE("an end that is said is told from an end that just comes") {
    Site site;
    SECTION("close_notify") {
        Pair pair(site, site.client(site.believing()));
        REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
        static_cast<void>(pair.client.transport.write("last words"));
        pair.client.transport.close();
        pair.loop.run_once(10);
        CHECK(pair.server.read() == "last words");
        CHECK(pair.server.last.status == net::IoStatus::closed);
    }
    SECTION("a bare FIN may be an attacker's") {
        Pair pair(site, site.client(site.believing()));
        REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
        CHECK(pair.client.read().empty());  // its ticket: bytes left unread would make a reset of the end
        static_cast<void>(pair.client.transport.write("half of"));
        pair.client.transport.socket().close();
        pair.loop.run_once(10);
        CHECK(pair.server.read() == "half of");
        CHECK(pair.server.last.status == net::IoStatus::failed);
        CHECK(pair.server.last.error == 0);
        CHECK(pair.server.transport.read(std::array<char, 1>().data(), 1).status == net::IoStatus::failed);
    }
    SECTION("of one direction") {
        Pair pair(site, site.client(site.believing()));
        REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
        pair.client.transport.shutdown_write();
        pair.loop.run_once(10);
        CHECK(pair.server.read().empty());
        CHECK(pair.server.last.status == net::IoStatus::closed);
        CHECK(pair.server.transport.write("still here").status == net::IoStatus::ok);
        pair.loop.run_once(10);
        CHECK(pair.client.read() == "still here");
    }
}

TEST_CASE("an end that is said twice loses nothing of what still comes") {
    Site site;
    Pair pair(site, site.client(site.believing()));
    REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
    std::string got;
    pair.server.transport.shutdown_write();
    for (int piece = 0; piece < 20; ++piece) {
        static_cast<void>(pair.client.transport.write(std::string(5'000, 'x')));
        pair.loop.run_once(5);
        pair.server.transport.shutdown_write();  // with bytes to read
        got += pair.server.read();
    }
    CHECK(got.size() == 100'000);
}

TEST_CASE("a peer that only speaks of its keys is not listened to for ever") {
    Site site;
    net::Loop loop;
    auto [server_end, client_end] = test::socket_pair();
    ::fcntl(client_end.get(), F_SETFL, O_NONBLOCK);
    End server(loop, std::move(server_end));
    REQUIRE(server.transport.start_server(*site.server, site.workspace));
    // OpenSSL's own client says what no transport says.
    const SslContextPtr context(SSL_CTX_new(TLS_client_method()));
    const SslPtr client(SSL_new(context.get()));
    SSL_set_fd(client.get(), client_end.get());
    Handshake at_server = Handshake::again;
    for (int turn = 0; turn < 50 && at_server == Handshake::again; ++turn) {
        static_cast<void>(SSL_connect(client.get()));
        loop.run_once(1);
        at_server = server.transport.handshake();
    }
    REQUIRE(at_server == Handshake::done);
    REQUIRE(SSL_connect(client.get()) == 1);

    const auto updates_until_refused = [&](int most) {
        for (int count = 1; count <= most; ++count) {
            if (SSL_key_update(client.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) return -1;
            static_cast<void>(SSL_do_handshake(client.get()));
            loop.run_once(0);
            static_cast<void>(server.read());
            if (server.last.status == net::IoStatus::failed) return count;
        }
        return 0;
    };
    CHECK(updates_until_refused(1'000) == 0);
    CHECK(SSL_write(client.get(), "x", 1) == 1);
    loop.run_once(1);
    CHECK(server.read() == "x");  // what is content starts the count again
    const int refused = updates_until_refused(20'000);
    CHECK(refused > 5'000);
}

TEST_CASE("records that come byte by byte are read as if they came at once") {
    Site site;
    // A relay between the two, one byte at a time, the other way as it comes.
    auto [server_end, from_relay] = test::socket_pair();
    auto [client_end, to_relay] = test::socket_pair();
    net::Loop loop;
    End server(loop, std::move(server_end));
    End client(loop, std::move(client_end));
    const auto context = site.client(site.believing());
    REQUIRE(server.transport.start_server(*site.server, site.workspace));
    REQUIRE(client.transport.start_client(*context, site.workspace));
    ::fcntl(from_relay.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(to_relay.get(), F_SETFL, O_NONBLOCK);

    Handshake at_server = Handshake::again;
    Handshake at_client = client.transport.handshake();
    std::string got;
    bool asked = false;
    const auto step = [&] {
        loop.run_once(0);
        if (at_server == Handshake::again) {
            at_server = server.transport.handshake();
        } else {
            got += server.read();
        }
        if (at_client == Handshake::again) at_client = client.transport.handshake();
        if (at_client == Handshake::done && !asked) {
            asked = true;
            static_cast<void>(client.transport.write("a whole question"));
        }
    };
    for (int turn = 0; turn < 20'000 && got != "a whole question"; ++turn) {
        const std::string back = from_relay.receive();
        if (!back.empty()) to_relay.send(back);
        char byte = 0;
        if (::recv(to_relay.get(), &byte, 1, 0) == 1) from_relay.send({&byte, 1});
        step();
    }
    CHECK(at_server == Handshake::done);
    CHECK(got == "a whole question");
}

TEST_CASE("what was read before TLS began is its beginning") {
    Site site;
    net::Loop loop;
    auto [server_end, peer] = test::socket_pair();
    auto [client_end, relay] = test::socket_pair();
    End server(loop, std::move(server_end));
    End client(loop, std::move(client_end));
    const auto context = site.client(site.believing());
    REQUIRE(client.transport.start_client(*context, site.workspace));
    CHECK(client.transport.handshake() == Handshake::again);
    const std::string hello = relay.receive();
    REQUIRE(hello.size() > 100);
    REQUIRE(server.transport.start_server(*site.server, site.workspace, hello.substr(0, 60)));
    CHECK(server.transport.handshake() == Handshake::again);
    peer.send(hello.substr(60));
    loop.run_once(10);
    CHECK(server.transport.handshake() == Handshake::again);
    CHECK(peer.receive().size() > 500);  // its certificate
}

TEST_CASE("a client that speaks HTTP in the clear is told apart from one that speaks nonsense") {
    Site site;
    net::Loop loop;
    const auto outcome = [&](std::string_view bytes) {
        auto [ours, theirs] = test::socket_pair();
        End end(loop, std::move(ours));
        REQUIRE(end.transport.start_server(*site.server, site.workspace));
        theirs.send(bytes);
        loop.run_once(10);
        const Handshake result = end.transport.handshake();
        CHECK(end.transport.encrypted() == (result != Handshake::plain_http));
        if (result == Handshake::failed) CHECK_FALSE(end.transport.why().empty());
        return result;
    };
    CHECK(outcome("GET / HTTP/1.1\r\n") == Handshake::plain_http);
    CHECK(outcome("P") == Handshake::plain_http);
    CHECK(outcome(std::string("\x16\x03\x01\x00\x05hello", 10)) == Handshake::failed);
    CHECK(outcome(std::string(50, '\0')) == Handshake::failed);
    CHECK(outcome("\x16") == Handshake::again);
}

TEST_CASE("a server that cannot show who it is gets nothing") {
    const auto handshake = [](Site& site, const config::BackendTlsConfig& config) {
        Pair pair(site, site.client(config));
        const Handshake at_client = pair.shake_hands().second;
        return at_client == Handshake::failed ? pair.client.transport.why() : std::string();
    };
    Site site;
    config::BackendTlsConfig config = site.believing();
    CHECK(handshake(site, config).empty());
    config.server_name = "another.test";
    CHECK(handshake(site, config).find("hostname mismatch") != std::string::npos);
    config.verify = false;
    CHECK(handshake(site, config).empty());

    const Site stranger;
    CHECK_FALSE(handshake(site, stranger.believing()).empty());
    Site late({.names = {"server.test"}, .from_s = -2 * kDay, .until_s = -kDay});
    CHECK(handshake(late, late.believing()).find("expired") != std::string::npos);
    CHECK_FALSE(ClientContext::make({.verify = true, .ca = "/nowhere", .server_name = ""}, "a").has_value());
}

TEST_CASE("the next connection to a server resumes the session of the one before") {
    Site site;
    const auto context = site.client(site.believing());
    const auto traffic = [&] {
        Pair pair(site, context);
        REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
        CHECK(pair.client.read().empty());  // the ticket is in what was read
        static_cast<void>(pair.server.transport.write("x"));
        pair.loop.run_once(10);
        CHECK(pair.client.read() == "x");
        // A quiet connection stays one when its peer speaks of the session only.
        CHECK(pair.client.transport.quiet());
        const bool resumed = pair.client.transport.resumed();
        pair.client.transport.close();
        return resumed;
    };
    CHECK_FALSE(traffic());
    CHECK(traffic());
    CHECK(traffic());
}

TEST_CASE("a transport that moves goes on where it was") {
    Site site;
    Pair pair(site, site.client(site.believing()));
    REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
    Transport moved(std::move(pair.server.transport));
    CHECK_FALSE(pair.server.transport.open());
    RecordingWatcher watcher;
    moved.socket().rewatch(watcher);
    static_cast<void>(pair.client.transport.write("after the move"));
    pair.loop.run_once(10);
    CHECK((watcher.all & net::kReadable) != 0);
    moved.note(watcher.all);
    std::array<char, 100> bytes;
    CHECK(moved.read(bytes.data(), bytes.size()).size == 14);
    moved.close();
}

TEST_CASE("where the client's request is here already, the tickets go with the answer") {
    Site site;
    const auto context = site.client(site.believing());
    const auto traffic = [&](bool asks_at_once) {
        Pair pair(site, context);
        CHECK(pair.client.transport.handshake() == Handshake::again);
        pair.loop.run_once(10);
        CHECK(pair.server.transport.handshake() == Handshake::again);
        pair.loop.run_once(10);
        CHECK(pair.client.transport.handshake() == Handshake::done);
        if (asks_at_once) CHECK(pair.client.transport.write("a question").size == 10);
        pair.loop.run_once(10);
        CHECK(pair.server.transport.handshake() == Handshake::done);
        pair.loop.run_once(10);
        CHECK(pair.client.transport.readable() == !asks_at_once);
        if (asks_at_once) {
            CHECK(pair.server.read() == "a question");
            CHECK(pair.server.transport.write("an answer").size == 9);
            pair.loop.run_once(10);
            CHECK(pair.client.read() == "an answer");
        } else {
            CHECK(pair.client.read().empty());
        }
        const bool resumed = pair.client.transport.resumed();
        pair.client.transport.close();
        return resumed;
    };
    CHECK_FALSE(traffic(true));
    CHECK(traffic(true));
    CHECK(traffic(false));
    CHECK(traffic(true));
}

TEST_CASE("what is written last says goodbye too, and once") {
    Site site;
    Pair pair(site, site.client(site.believing()));
    REQUIRE(pair.shake_hands() == std::pair(Handshake::done, Handshake::done));
    CHECK(pair.client.read().empty());
    CHECK(pair.server.transport.write("the end", true).size == 7);
    pair.loop.run_once(10);
    CHECK(pair.client.read() == "the end");
    CHECK(pair.client.last.status == net::IoStatus::closed);
    // It may still hear what the client has to say.
    CHECK(pair.client.transport.write("thanks").size == 6);
    pair.loop.run_once(10);
    CHECK(pair.server.read() == "thanks");

    std::array<char, 100> bytes;
    pair.server.transport.close();
    pair.loop.run_once(10);
    CHECK(pair.client.transport.socket().read(bytes.data(), bytes.size()).status == net::IoStatus::closed);
}

TEST_CASE("the answer to a WebSocket key is that of RFC 6455 section 1.3") {
    CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace palier::tls
