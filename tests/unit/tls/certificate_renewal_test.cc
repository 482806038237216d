// What a refresh makes of files that changed.
#include "captured_descriptor.h"
#include "certificates.h"
#include "palier/tls/certificate_store.h"
#include "tls/credentials.h"

#include <algorithm>

namespace palier::tls {
namespace {

struct Renewing {
    explicit Renewing(StoreLimits limits = {}) : store({folder.path()}, limits) {}

    /// The serial number of the certificate for a name; 0 for none.
    [[nodiscard]] long serial(std::string_view name = "a.example") const {
        const auto selection = store.select(name);
        return selection.empty() ? 0 : serial_of(selection[0]->certificate.get());
    }
    [[nodiscard]] std::string problems() {
        std::string text;
        for (const auto& problem : store.refresh().problems)
            text += problem.file.substr(folder.path().size() + 1) + ": " + problem.reason + "\n";
        return text;
    }

    Folder folder;
    CertificateStore store;
};

constexpr const char* kStays = "; the certificate that it had before stays in use\n";

TEST_CASE("a renewed file is read, written in place or replaced") {
    for (const bool in_place : {true, false}) {
        Renewing renewing;
        const Issued old = issue_for("a.example");
        renewing.folder.write("a.pem", old.both());
        renewing.folder.write("b.pem", issue_for("b.example").both());
        CHECK(renewing.store.refresh().added == 2);
        const long other = renewing.serial("b.example");
        const Issued fresh = issue_for("a.example");
        if (in_place) {
            renewing.folder.write("a.pem", fresh.both());
        } else {
            renewing.folder.replace("a.pem", fresh.both());
        }
        const auto changes = renewing.store.refresh();
        CHECK(std::ranges::count(changes.renewed, renewing.folder.path("a.pem")) == 1);
        CHECK(changes.problems.empty());
        CHECK(renewing.serial() == serial_of(fresh));
        CHECK(renewing.serial("b.example") == other);
    }
}

TEST_CASE("a symbolic link that points elsewhere is followed") {
    Renewing renewing;
    const Folder archive;
    const Issued old = issue_for("a.example");
    const Issued fresh = issue_for("a.example");
    archive.write("1.pem", old.both());
    archive.write("2.pem", fresh.both());
    std::filesystem::create_symlink(archive.path("1.pem"), renewing.folder.path("a.pem"));
    renewing.store.refresh();
    CHECK(renewing.serial() == serial_of(old));
    std::filesystem::create_symlink(archive.path("2.pem"), renewing.folder.path("a.link"));
    std::filesystem::rename(renewing.folder.path("a.link"), renewing.folder.path("a.pem"));
    renewing.store.refresh();
    CHECK(renewing.serial() == serial_of(fresh));
}

TEST_CASE("files come and go") {
    Renewing renewing;
    renewing.folder.write("a.pem", issue_for("a.example").both());
    renewing.store.refresh();
    renewing.folder.write("b.pem", issue_for("b.example").both());
    CHECK(renewing.store.refresh().added == 1);
    CHECK(renewing.serial("b.example") != 0);
    renewing.folder.remove("a.pem");
    CHECK(renewing.store.refresh().removed == 1);
    CHECK(renewing.serial() == 0);
    CHECK(renewing.store.size() == 1);
}

TEST_CASE("a renewal may bring other names") {
    Renewing renewing;
    renewing.folder.write("a.pem", issue_for("a.example").both());
    renewing.store.refresh();
    const Issued fresh = issue_for("c.example");
    renewing.folder.replace("a.pem", fresh.both());
    renewing.store.refresh();
    CHECK(renewing.serial() == 0);
    CHECK(renewing.serial("c.example") == serial_of(fresh));
}

TEST_CASE("a broken renewal keeps the old certificate, is told once, and is over when it is mended") {
    Renewing renewing;
    const Issued old = issue_for("a.example");
    const Issued fresh = issue_for("a.example");
    renewing.folder.write("a.pem", old.both());
    renewing.store.refresh();
    for (const std::string& broken :
         {fresh.both().substr(0, 200), std::string{}, fresh.pem() + old.key_pem(), fresh.pem(),
          std::string("-----BEGIN CERTIFICATE-----\nZm9v\n-----END "
                      "CERTIFICATE-----\n")}) {
        renewing.folder.write("a.pem", broken);
        const std::string problems = renewing.problems();
        CHECK(problems.starts_with("a.pem: "));
        CHECK(problems.ends_with(kStays));
        CHECK(renewing.serial() == serial_of(old));
        CHECK(renewing.problems().empty());
        CHECK(renewing.serial() == serial_of(old));
        CHECK(renewing.store.problems().size() == 1);
    }
    renewing.folder.write("a.pem", fresh.both());
    const auto changes = renewing.store.refresh();
    CHECK(changes.renewed.size() == 1);
    CHECK(renewing.serial() == serial_of(fresh));
    CHECK(renewing.store.problems().empty());
}

TEST_CASE("a certificate that is renewed before its key serves with both or with neither") {
    Renewing renewing;
    const Issued old = issue_for("a.example");
    const Issued fresh = issue_for("a.example");
    renewing.folder.write("a.crt", old.pem());
    renewing.folder.write("a.key", old.key_pem());
    renewing.store.refresh();
    renewing.folder.replace("a.crt", fresh.pem());
    CHECK(renewing.problems() ==
          "a.crt: its key " + renewing.folder.path("a.key") + " belongs to another certificate" + kStays);
    CHECK(renewing.serial() == serial_of(old));
    renewing.folder.replace("a.key", fresh.key_pem());
    CHECK(renewing.problems().empty());
    CHECK(renewing.serial() == serial_of(fresh));
}

TEST_CASE("a key that disappears leaves the certificate in use, a certificate that disappears leaves") {
    Renewing renewing;
    const Issued old = issue_for("a.example");
    renewing.folder.write("a.crt", old.pem());
    renewing.folder.write("a.key", old.key_pem());
    renewing.store.refresh();
    renewing.folder.remove("a.key");
    CHECK(renewing.problems().ends_with(kStays));
    CHECK(renewing.serial() == serial_of(old));
    renewing.folder.remove("a.crt");
    CHECK(renewing.store.refresh().removed == 1);
    CHECK(renewing.serial() == 0);
}

TEST_CASE("a renewal with a certificate that has expired is no renewal") {
    Renewing renewing;
    const Issued old = issue_for("a.example");
    renewing.folder.write("a.pem", old.both());
    renewing.store.refresh();
    renewing.folder.replace("a.pem", issue({.names = {"a.example"}, .until_s = -kDay}).both());
    CHECK(renewing.problems() == std::string("a.pem: it is not valid now") + kStays);
    CHECK(renewing.serial() == serial_of(old));
}

TEST_CASE("in a large store, what is in use survives a broken renewal") {
    Renewing renewing({.cached = 10, .verified = 0});
    const Issued used = issue_for("a.example");
    renewing.folder.write("a.pem", used.both());
    renewing.folder.write("b.pem", issue_for("b.example").both());
    renewing.store.refresh();
    CHECK(renewing.serial() == serial_of(used));
    renewing.folder.write("a.pem", "-----BEGIN CERTIFICATE-----\n");
    renewing.folder.write("b.pem", "-----BEGIN CERTIFICATE-----\n");
    CHECK(renewing.problems() == std::string("a.pem: a block \"CERTIFICATE\" does not end") + kStays +
                                     "b.pem: a block \"CERTIFICATE\" does not end\n");
    CHECK(renewing.serial() == serial_of(used));
    CHECK(renewing.serial("b.example") == 0);
}

TEST_CASE("in a large store, the renewal of what is in use is verified at once") {
    Renewing renewing({.cached = 10, .verified = 0});
    const Issued used = issue_for("a.example");
    renewing.folder.write("a.pem", used.both());
    renewing.store.refresh();
    CHECK(renewing.serial() == serial_of(used));
    renewing.folder.write("a.pem", issue_for("a.example").pem() + used.key_pem());
    CHECK(renewing.problems() ==
          std::string("a.pem: its private key belongs to another certificate") + kStays);
    CHECK(renewing.serial() == serial_of(used));
}

TEST_CASE("a source that cannot be read any more keeps what it had") {
    const Folder folder;
    const Issued issued = issue_for("a.example");
    folder.write("certs/a.pem", issued.both());
    CertificateStore store({folder.path("certs")});
    store.refresh();
    std::filesystem::rename(folder.path("certs"), folder.path("moved"));
    const auto changes = store.refresh();
    REQUIRE(changes.problems.size() == 1);
    CHECK(changes.problems[0].file == folder.path("certs"));
    CHECK(changes.removed == 0);
    CHECK(store.select("a.example").size() == 1);
    std::filesystem::rename(folder.path("moved"), folder.path("certs"));
    CHECK(store.refresh().problems.empty());
    folder.remove("certs/a.pem");
    CHECK(store.refresh().removed == 1);
}

TEST_CASE("a refresh without changes changes nothing") {
    Renewing renewing;
    renewing.folder.write("a.pem", issue_for("a.example").both());
    renewing.folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\n");
    CHECK(renewing.problems().starts_with("broken.pem: "));
    const auto before = renewing.store.select("a.example");
    const auto unchanged = [&] {
        const auto changes = renewing.store.refresh();
        return changes.problems.empty() && changes.renewed.empty() && changes.added == 0 &&
               changes.removed == 0;
    };
    // A file that was written within the clock's resolution is read again, once.
    while (!unchanged())
        ::usleep(10'000);
    CHECK(unchanged());
    CHECK(renewing.store.size() == 1);
    CHECK(before.size() == 1);
}

}  // namespace
}  // namespace palier::tls
