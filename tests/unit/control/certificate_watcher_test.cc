#include "palier/control/certificate_watcher.h"

#include "captured_descriptor.h"
#include "net/loop_fixture.h"
#include "tls/handshake.h"

#include <algorithm>

namespace palier::control {
namespace {

using tls::issue_for;
using tls::serial_of;

struct Watched {
    Watched() {
        config->listeners.resize(2);
        config->listeners[0].name = "http";
        config->listeners[1].name = "https";
        folder.write("certs/a.pem", first.both());
        settings().certificates = {folder.path("certs")};
    }

    [[nodiscard]] config::ListenerTlsConfig& settings() {
        auto& tls = config->listeners[1].tls;
        return tls ? *tls : tls.emplace();
    }
    [[nodiscard]] long serial(const std::string& name = "a.example") const {
        return tls::shake_hands(*watcher.context(1), {.name = name}).serial;
    }
    /// Whether a handshake gets this certificate before `ms` have passed.
    [[nodiscard]] bool serves(const tls::Issued& issued, std::uint64_t ms = 2'000) {
        const std::uint64_t end = base::monotonic_ms() + ms;
        while (serial() != serial_of(issued)) {
            if (base::monotonic_ms() > end) return false;
            loop.run_once(20);
        }
        return true;
    }

    test::CapturedDescriptor err{STDERR_FILENO};
    tls::Folder folder;
    tls::Issued first = issue_for("a.example");
    net::Loop loop;
    std::shared_ptr<config::Config> config = std::make_shared<config::Config>();
    CertificateWatcher watcher{loop};
};

TEST_CASE("listeners with TLS get a context, others none") {
    Watched watched;
    REQUIRE(watched.watcher.load(*watched.config));
    CHECK(watched.watcher.context(0) == nullptr);
    CHECK(watched.serial() == serial_of(watched.first));
    CHECK(watched.watcher.certificates().size() == 1);
}

TEST_CASE("a renewed certificate is served within two seconds, replaced or written piece by piece") {
    Watched watched;
    REQUIRE(watched.watcher.load(*watched.config));
    const auto replaced = issue_for("a.example");
    watched.folder.replace("certs/a.pem", replaced.both());
    CHECK(watched.serves(replaced));
    const auto written = issue_for("a.example");
    const std::string text = written.both();
    for (std::size_t size = 0; size <= text.size(); size += text.size() / 4) {
        watched.folder.write("certs/a.pem", text.substr(0, size));
        watched.loop.run_once(20);
        CHECK(watched.serial() == serial_of(replaced));
    }
    watched.folder.write("certs/a.pem", text);
    CHECK(watched.serves(written));
    CHECK(watched.err.text().find("certs/a.pem: the new certificate is in use") != std::string::npos);
}

TEST_CASE("a broken renewal is logged once, and the old certificate stays") {
    Watched watched;
    REQUIRE(watched.watcher.load(*watched.config));
    watched.folder.write("certs/a.pem", "-----BEGIN CERTIFICATE-----\n");
    const auto lines = [&] { return std::ranges::count(watched.err.text(), '\n'); };
    REQUIRE(test::run_until(watched.loop, [&] { return lines() != 0; }));
    CHECK(watched.err.text().find("certs/a.pem: a block \"CERTIFICATE\" does not end") != std::string::npos);
    watched.watcher.look();
    CHECK(lines() == 1);
    CHECK(watched.serial() == serial_of(watched.first));
}

TEST_CASE("problems are those of the last look, each told once") {
    Watched watched;
    watched.config->listeners.push_back(watched.config->listeners[1]);
    watched.config->listeners[2].tls->certificates.push_back(watched.folder.path("more"));
    watched.folder.write("more/expired.pem", tls::issue({.names = {"b.example"}, .until_s = -3600}).both());
    watched.folder.write("certs/keyless.pem", tls::issue_for("c.example").pem());
    REQUIRE(watched.watcher.load(*watched.config));
    const auto problems = watched.watcher.problems();
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].file == watched.folder.path("certs/keyless.pem"));
    CHECK(problems[1].file == watched.folder.path("more/expired.pem"));
    CHECK(problems[1].reason.starts_with("it expired on "));
    watched.folder.replace("more/expired.pem", tls::issue_for("b.example").both());
    watched.folder.remove("certs/keyless.pem");
    watched.watcher.look();
    CHECK(watched.watcher.problems().empty());
}

TEST_CASE("certificates come, and a directory may be swapped for another by its symbolic link") {
    Watched watched;
    const auto second = issue_for("a.example");
    watched.folder.write("1/a.pem", watched.first.both());
    watched.folder.write("2/a.pem", second.both());
    std::filesystem::create_directory_symlink("1", watched.folder.path("now"));
    watched.settings().certificates = {watched.folder.path("now")};
    REQUIRE(watched.watcher.load(*watched.config));
    CHECK(watched.serial() == serial_of(watched.first));
    const auto other = issue_for("b.example");
    watched.folder.write("1/b.pem", other.both());
    CHECK(test::run_until(watched.loop, [&] { return watched.serial("b.example") == serial_of(other); }));
    std::filesystem::create_directory_symlink("2", watched.folder.path("next"));
    std::filesystem::rename(watched.folder.path("next"), watched.folder.path("now"));
    CHECK(watched.serves(second));
    const auto third = issue_for("a.example");
    watched.folder.write("2/a.pem", third.both());
    CHECK(watched.serves(third));
}

TEST_CASE("a single file is watched, and its key beside it") {
    Watched watched;
    watched.folder.write("one/a.crt", watched.first.pem());
    watched.folder.write("one/a.key", watched.first.key_pem());
    watched.settings().certificates = {watched.folder.path("one/a.crt")};
    REQUIRE(watched.watcher.load(*watched.config));
    const auto second = issue_for("a.example");
    watched.folder.replace("one/a.crt", second.pem());
    watched.folder.replace("one/a.key", second.key_pem());
    CHECK(watched.serves(second));
}

TEST_CASE("listeners that name the same files share what is read of them") {
    Watched watched;
    watched.config->listeners.push_back(watched.config->listeners[1]);
    REQUIRE(watched.watcher.load(*watched.config));
    CHECK(watched.watcher.context(2) != nullptr);
    CHECK(watched.watcher.certificates().size() == 1);
}

TEST_CASE("a file of ticket keys is read again when it changes") {
    Watched watched;
    watched.settings().ticket_keys = watched.folder.write("keys", std::string(80, 'a'));
    REQUIRE(watched.watcher.load(*watched.config));
    const auto before = tls::shake_hands(*watched.watcher.context(1), {.name = "a.example"});
    REQUIRE(before.session != nullptr);
    const auto resumes = [&] {
        return tls::shake_hands(*watched.watcher.context(1),
                                {.name = "a.example", .session = before.session.get()})
            .resumed;
    };
    CHECK(resumes());
    watched.folder.replace("keys", "short");
    CHECK(test::run_until(watched.loop, [&] {
        return watched.err.text().find("the ticket keys of before stay in use") != std::string::npos;
    }));
    CHECK(resumes());
    watched.folder.replace("keys", std::string(80, 'b'));
    CHECK(test::run_until(watched.loop, [&] { return !resumes(); }));
}

TEST_CASE("what keeps a listener from starting is an error with its name") {
    Watched watched;
    SECTION("no certificate") {
        watched.folder.remove("certs/a.pem");
        CHECK(watched.watcher.load(*watched.config).error().message ==
              "listener https: there is no usable certificate in " + watched.folder.path("certs"));
    }
    SECTION("ciphers") {
        watched.settings().ciphers = "TYPO";
        CHECK(watched.watcher.load(*watched.config).error().message ==
              "listener https: ciphers: OpenSSL does not know \"TYPO\"");
    }
    SECTION("ticket keys") {
        watched.settings().ticket_keys = watched.folder.path("gone");
        CHECK(watched.watcher.load(*watched.config).error().message ==
              "listener https: ticket_keys: " + watched.folder.path("gone") + ": No such file or directory");
    }
}

}  // namespace
}  // namespace palier::control
