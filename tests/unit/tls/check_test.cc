#include "palier/tls/check.h"

#include "certificates.h"

#include <algorithm>

namespace palier::tls {
namespace {

struct Checking {
    Checking() {
        config.listeners.resize(1);
        config.listeners[0].name = "https";
        config.listeners[0].tls.emplace().certificates = {folder.path("in")};
        std::filesystem::create_directory(folder.path("in"));
    }

    [[nodiscard]] config::ListenerTlsConfig& tls() { return *config.listeners[0].tls; }
    /// Findings as "error: …" and "warning: …", with the folder's path as "@".
    [[nodiscard]] std::vector<std::string> findings() const {
        std::vector<std::string> all;
        for (const Finding& finding : check(config)) {
            std::string text =
                (finding.severity == Severity::error ? "error: " : "warning: ") + finding.message;
            for (auto at = text.find(folder.path()); at != std::string::npos; at = text.find(folder.path()))
                text.replace(at, folder.path().size(), "@");
            all.push_back(std::move(text));
        }
        return all;
    }

    Folder folder;
    config::Config config;
};

using Texts = std::vector<std::string>;

TEST_CASE("nothing is found in good order, and listeners without TLS are none of it") {
    Checking checking;
    checking.folder.write("in/a.pem", issue_for("a.example").both());
    checking.tls().default_name = "a.example";
    checking.config.listeners.emplace_back().name = "http";
    CHECK(checking.findings().empty());
}

TEST_CASE("certificates that expire within 14 days are told") {
    const Checking checking;
    checking.folder.write("in/a.pem", issue({.names = {"a.example", "b.example", "c.example", "d.example"},
                                             .until_s = 13 * kDay + 3600})
                                          .both());
    checking.folder.write("in/b.pem", issue({.names = {"e.example"}, .until_s = 15 * kDay}).both());
    const Texts found = checking.findings();
    REQUIRE(found.size() == 1);
    CHECK(found[0].starts_with("warning: @/in/a.pem: it expires on 20"));
    CHECK(found[0].ends_with("UTC, in 13 days (a.example, b.example, c.example and 1 more)"));
}

TEST_CASE("every key is compared, however many there are, and problems are warnings") {
    const Checking checking;
    checking.folder.write("in/a.pem", issue_for("a.example").both());
    checking.folder.write("in/b.pem", issue_for("b.example").pem() + issue_for("c.example").key_pem());
    CHECK(checking.findings() ==
          Texts{"warning: @/in/b.pem: its private key belongs to another certificate"});
}

TEST_CASE("a listener with nothing to serve is an error") {
    const Checking checking;
    CHECK(checking.findings() == Texts{"error: listener https: there is no usable certificate in @/in"});
}

TEST_CASE("listeners that share their files share the findings") {
    Checking checking;
    checking.folder.write("in/a.pem", issue({.names = {"a.example"}, .until_s = -kDay}).both());
    checking.config.listeners.push_back(checking.config.listeners[0]);
    CHECK(checking.findings().size() == 1);
}

TEST_CASE("a default without a certificate is told") {
    Checking checking;
    checking.folder.write("in/a.pem", issue_for("a.example").both());
    checking.tls().default_name = "b.example";
    CHECK(checking.findings() == Texts{"warning: listener https: there is no certificate for the default, "
                                       "b.example: clients that ask for no or an unknown name are refused"});
}

TEST_CASE("settings that cannot be met are errors, each by itself") {
    Checking checking;
    checking.folder.write("in/a.pem", issue_for("a.example").both());
    checking.tls().ticket_keys = checking.folder.write("keys", "short");
    checking.tls().ciphers = "TYPO";
    CHECK(
        checking.findings() ==
        Texts{
            "error: listener https: ticket_keys: @/keys: ticket keys are 80 bytes each, 1 to 64 of them, not "
            "5 bytes",
            "error: listener https: ciphers: OpenSSL does not know \"TYPO\""});
    checking.tls().ticket_keys.clear();
    checking.tls().ciphers.clear();
    checking.tls().client_auth = config::ClientAuth::required;
    checking.tls().client_ca = checking.folder.path("gone.pem");
    CHECK(checking.findings() ==
          Texts{"error: listener https: client_ca: @/gone.pem: No such file or directory"});
}

}  // namespace
}  // namespace palier::tls
