#include "palier/tls/certificate_store.h"

#include "captured_descriptor.h"
#include "certificates.h"
#include "tls/credentials.h"

#include <algorithm>
#include <thread>

#include <sys/stat.h>

namespace palier::tls {
namespace {

/// The certificates that are chosen for a name, by serial number.
std::vector<long> chosen(const CertificateStore& store, std::string_view name) {
    std::vector<long> serials;
    for (const auto& credentials : store.select(name))
        serials.push_back(serial_of(credentials->certificate.get()));
    return serials;
}

using Serials = std::vector<long>;

std::string reasons(const std::vector<CertificateProblem>& problems) {
    std::string text;
    for (const CertificateProblem& problem : problems)
        text += problem.file + ": " + problem.reason + "\n";
    return text;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// A store that has been loaded.
struct Loaded {
    explicit Loaded(std::vector<std::string> sources, StoreLimits limits = {})
        : store(std::move(sources), limits), problems(reasons(store.refresh().problems)) {}

    CertificateStore store;
    std::string problems;
};

TEST_CASE("exact names come before wildcards, which stand for one label") {
    const Folder folder;
    const Issued exact = issue_for("www.example.com");
    const Issued wildcard = issue({.names = {"*.example.com", "example.com"}});
    folder.write("a.pem", wildcard.both());
    folder.write("b.pem", exact.both());
    const Loaded loaded({folder.path()});
    CHECK(loaded.problems.empty());
    CHECK(chosen(loaded.store, "www.example.com") == Serials{serial_of(exact)});
    CHECK(chosen(loaded.store, "WWW.EXAMPLE.COM.") == Serials{serial_of(exact)});
    CHECK(chosen(loaded.store, "shop.example.com") == Serials{serial_of(wildcard)});
    CHECK(chosen(loaded.store, "example.com") == Serials{serial_of(wildcard)});
    for (const char* unknown :
         {"a.b.example.com", "com", "example.org", "*.example.com", "", "192.0.2.1", "a b"})
        CHECK(chosen(loaded.store, unknown).empty());
}

TEST_CASE("certificates and keys are found in every layout") {
    const Folder folder;
    const Issued one = issue_for("one.example");
    const Issued two = issue_for("two.example");
    const Issued three = issue_for("three.example");
    const Issued four = issue_for("four.example");
    const Issued five = issue_for("five.example");
    folder.write("in/one.pem", one.key_pem() + one.pem());
    folder.write("in/two.crt", two.pem());
    folder.write("in/two.key", two.key_pem());
    folder.write("in/three.pem", three.pem());
    folder.write("in/three.key", three.key_pem());
    folder.write("in/four.example/fullchain.pem", four.pem());
    folder.write("in/four.example/cert.pem", four.pem());
    folder.write("in/four.example/privkey.pem", four.key_pem());
    folder.write("in/.hidden.pem", "-----BEGIN CERTIFICATE-----\n");
    folder.write("in/README", "certificates lie here");
    folder.write("in/two.csr", "-----BEGIN CERTIFICATE REQUEST-----");
    const std::string single = folder.write("else/five.crt", five.pem());
    folder.write("else/five.key", five.key_pem());
    folder.write("else/six.pem", "-----BEGIN CERTIFICATE-----\n");
    const Loaded loaded({folder.path("in"), single});
    CHECK(loaded.problems.empty());
    CHECK(loaded.store.size() == 5);
    CHECK(chosen(loaded.store, "one.example") == Serials{serial_of(one)});
    CHECK(chosen(loaded.store, "two.example") == Serials{serial_of(two)});
    CHECK(chosen(loaded.store, "three.example") == Serials{serial_of(three)});
    CHECK(chosen(loaded.store, "four.example") == Serials{serial_of(four)});
    CHECK(chosen(loaded.store, "five.example") == Serials{serial_of(five)});
    const auto folders = loaded.store.folders();
    for (const char* name : {"in", "in/four.example", "else"})
        CHECK(std::ranges::find(folders, folder.path(name)) != folders.end());
}

TEST_CASE("keys are read in the forms of old too") {
    const Folder folder;
    const Issued ecdsa = issue_for("a.example");
    const Issued rsa = issue({.names = {"b.example"}, .key = TestKey::rsa});
    for (const auto& [name, issued] :
         {std::pair<const char*, const Issued*>{"a.pem", &ecdsa}, {"b.pem", &rsa}}) {
        const std::string key = to_pem([&](BIO* out) {
            return PEM_write_bio_PrivateKey_traditional(out, issued->key.get(), nullptr, nullptr, 0, nullptr,
                                                        nullptr);
        });
        CHECK(key.starts_with(issued == &rsa ? "-----BEGIN RSA PRIVATE" : "-----BEGIN EC PRIVATE"));
        folder.write(name, issued->pem() + key);
    }
    const Loaded loaded({folder.path()});
    CHECK(loaded.problems.empty());
    CHECK(loaded.store.size() == 2);
}

TEST_CASE("a key of another kind is another certificate's") {
    const Folder folder;
    const std::string file =
        folder.write("a.pem", issue_for("a.example").pem() +
                                  issue({.names = {"b.example"}, .key = TestKey::rsa}).key_pem());
    CHECK(Loaded({folder.path()}).problems == file + ": its private key belongs to another certificate\n");
}

TEST_CASE("certbot's directory may be given itself") {
    const Folder folder;
    const Issued issued = issue_for("a.example");
    folder.write("fullchain.pem", issued.pem());
    folder.write("cert.pem", issued.pem());
    folder.write("chain.pem", issue({.names = {"ca.example"}, .authority = true}).pem());
    folder.write("privkey.pem", issued.key_pem());
    const Loaded loaded({folder.path()});
    CHECK(loaded.problems.empty());
    CHECK(loaded.store.size() == 1);
    CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(issued)});
}

TEST_CASE("a file that two sources name is there once") {
    const Folder folder;
    const std::string file = folder.write("a.pem", issue_for("a.example").both());
    const Loaded loaded({folder.path(), file, folder.path() + "/"});
    CHECK(loaded.problems.empty());
    CHECK(loaded.store.size() == 1);
}

TEST_CASE("a chain is sent from the leaf upwards, whatever the file's order") {
    const Folder folder;
    const Issued root = issue({.common_name = "root", .authority = true});
    const Issued middle = issue({.common_name = "middle", .authority = true}, &root);
    const Issued leaf = issue({.names = {"a.example"}, .common_name = "a.example"}, &middle);
    folder.write("a.pem", root.pem() + middle.pem() + leaf.key_pem() + leaf.pem());
    const Loaded loaded({folder.path()});
    CHECK(loaded.problems.empty());
    const auto selection = loaded.store.select("a.example");
    REQUIRE(selection.size() == 1);
    CHECK(serial_of(selection[0]->certificate.get()) == serial_of(leaf));
    REQUIRE(selection[0]->chain.size() == 2);
    CHECK(serial_of(selection[0]->chain[0].get()) == serial_of(middle));
    CHECK(serial_of(selection[0]->chain[1].get()) == serial_of(root));
}

TEST_CASE("an authority's certificate is held once for all its chains") {
    const Folder folder;
    const Issued root = issue({.common_name = "root", .authority = true});
    for (const char* name : {"a.example", "b.example"})
        folder.write(std::string(name) + ".pem", issue({.names = {name}}, &root).both() + root.pem());
    const Loaded loaded({folder.path()});
    const auto a = loaded.store.select("a.example");
    const auto b = loaded.store.select("b.example");
    REQUIRE((a.size() == 1 && b.size() == 1));
    CHECK(a[0]->chain.at(0) == b[0]->chain.at(0));
}

TEST_CASE("RSA and ECDSA certificates of one name are both chosen") {
    const Folder folder;
    const Issued rsa = issue({.names = {"a.example"}, .key = TestKey::rsa});
    const Issued ecdsa = issue_for("a.example");
    folder.write("a-ecdsa.pem", ecdsa.both());
    folder.write("a-rsa.pem", rsa.both());
    const Loaded loaded({folder.path()});
    CHECK(loaded.problems.empty());
    CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(rsa), serial_of(ecdsa)});
}

TEST_CASE("of two files for one name the one that is valid longest is used, and both are named") {
    const Folder folder;
    const Issued shorter = issue({.names = {"a.example", "only.example"}, .until_s = 10 * kDay});
    const Issued longer = issue({.names = {"a.example"}, .until_s = 20 * kDay});
    folder.write("1.pem", shorter.both());
    folder.write("2.pem", longer.both());
    const Loaded loaded({folder.path()});
    CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(longer)});
    CHECK(chosen(loaded.store, "only.example") == Serials{serial_of(shorter)});
    CHECK(has(loaded.problems,
              folder.path("1.pem") + ": " + folder.path("2.pem") + " is for the same name (a.example)"));
    CHECK(std::ranges::count(loaded.problems, '\n') == 1);
}

TEST_CASE("of two files equally long valid the newer is used") {
    const Folder folder;
    const Issued older = issue({.names = {"a.example"}, .from_s = -5 * kDay});
    const Issued newer = issue({.names = {"a.example"}, .from_s = -kDay});
    folder.write("1.pem", newer.both());
    folder.write("2.pem", older.both());
    CHECK(chosen(Loaded({folder.path()}).store, "a.example") == Serials{serial_of(newer)});
}

TEST_CASE("an expired certificate serves only when there is nothing better") {
    const Folder folder;
    const Issued expired = issue({.names = {"a.example", "b.example"}, .until_s = -3600});
    const Issued wildcard = issue_for("*.example");
    folder.write("a.pem", expired.both());
    Loaded loaded({folder.path()});
    CHECK(has(loaded.problems, folder.path("a.pem") + ": it expired on 20"));
    CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(expired)});
    folder.write("w.pem", wildcard.both());
    loaded.store.refresh();
    CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(wildcard)});
}

TEST_CASE("a valid certificate is preferred to one that begins to hold tomorrow") {
    const Folder folder;
    const Issued tomorrow = issue({.names = {"a.example"}, .from_s = kDay, .until_s = 100 * kDay});
    const Issued now = issue({.names = {"a.example"}, .until_s = 10 * kDay});
    folder.write("1.pem", tomorrow.both());
    folder.write("2.pem", now.both());
    const Loaded loaded({folder.path()});
    CHECK(has(loaded.problems, "1.pem: it is not valid before 20"));
    CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(now)});
}

TEST_CASE("what cannot be used is told with its file, and the rest serves") {
    const Folder folder;
    const Issued good = issue_for("good.example");
    const Issued other = issue_for("other.example");
    folder.write("good.pem", good.both());
    folder.write("broken.pem", good.both().substr(0, 300));
    folder.write("garbage.pem",
                 "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n" + good.key_pem());
    folder.write("keyless.pem", other.pem());
    folder.write("mismatched.crt", other.pem());
    folder.write("mismatched.key", good.key_pem());
    folder.write("inside.pem", other.pem() + good.key_pem());
    folder.write("nameless.pem", issue({.common_name = "Nobody At All"}).both());
    folder.write("weak.pem", issue({.names = {"weak.example"}, .key = TestKey::weak_rsa}).both());
    folder.write("encrypted.pem", issue_for("e.example").pem() +
                                      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nZm9v\n"
                                      "-----END ENCRYPTED PRIVATE KEY-----\n");
    folder.write("long.pem", std::string(2'000'000, 'x'));
    const Loaded loaded({folder.path(), folder.path("nowhere")});
    INFO(loaded.problems);
    CHECK(loaded.store.size() == 1);
    CHECK(chosen(loaded.store, "good.example") == Serials{serial_of(good)});
    const auto told = [&](const std::string& file, const std::string& reason) {
        INFO(file);
        CHECK(has(loaded.problems, folder.path(file) + ": " + reason));
    };
    told("broken.pem", "a block \"CERTIFICATE\" does not end");
    told("garbage.pem", "its certificate is damaged");
    told("keyless.pem", "there is no private key");
    told("mismatched.crt", "its key " + folder.path("mismatched.key") + " belongs to another certificate");
    told("inside.pem", "its private key belongs to another certificate");
    told("nameless.pem", "it names no host");
    told("weak.pem", "OpenSSL refuses it: ee key too small");
    told("encrypted.pem", "its private key is encrypted");
    told("long.pem", "it is longer than 1 MiB");
    told("nowhere", "No such file or directory");
    CHECK(std::ranges::count(loaded.problems, '\n') == 10);
}

TEST_CASE("an authority's certificate without a key is not complained of, unless it was asked for") {
    const Folder folder;
    const std::string file = folder.write("ca.pem", issue({.common_name = "ca", .authority = true}).pem());
    CHECK(Loaded({folder.path()}).problems.empty());
    CHECK(has(Loaded({file}).problems, "there is no private key"));
}

TEST_CASE("a named file without a certificate is told, one in a directory is not") {
    const Folder folder;
    const std::string file = folder.write("notes.pem", "nothing");
    CHECK(Loaded({folder.path()}).problems.empty());
    CHECK(Loaded({file}).problems == file + ": there is no certificate in it\n");
}

TEST_CASE("what is no regular file is left alone") {
    const Folder folder;
    REQUIRE(::mkfifo(folder.path("pipe.pem").c_str(), 0600) == 0);
    std::filesystem::create_symlink("gone", folder.path("dangling.pem"));
    std::filesystem::create_directory(folder.path("folder.pem"));
    const Loaded loaded({folder.path(), folder.path("pipe.pem")});
    CHECK(loaded.problems == folder.path("pipe.pem") + ": it is not a regular file\n");
}

TEST_CASE("in a large store a bad key is found at first use, and told once") {
    const Folder folder;
    const Issued good = issue_for("a.example");
    const Issued wildcard = issue_for("*.example");
    folder.write("a.crt", good.pem());
    folder.write("a.key", wildcard.key_pem());
    folder.write("w.pem", wildcard.both());
    const Loaded loaded({folder.path()}, {.cached = 10, .verified = 1});
    CHECK(loaded.problems.empty());
    CHECK(loaded.store.size() == 2);
    const std::string reason =
        folder.path("a.crt") + ": its key " + folder.path("a.key") + " belongs to another certificate\n";
    std::string logged;
    {
        const test::CapturedDescriptor err(STDERR_FILENO);
        CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(wildcard)});
        CHECK(chosen(loaded.store, "a.example") == Serials{serial_of(wildcard)});
        logged = err.text();
    }
    CHECK(logged.ends_with(" warning " + reason));
    CHECK(std::ranges::count(logged, '\n') == 1);
    CHECK(reasons(loaded.store.problems()) == reason);
}

TEST_CASE("no more keys are kept than the bound says, and dropped ones come back") {
    const Folder folder;
    for (int i = 0; i < 6; ++i) {
        const std::string name = "n" + std::to_string(i) + ".example";
        folder.write(name + ".pem", issue_for(name).both());
    }
    const Loaded loaded({folder.path()}, {.cached = 2, .verified = 0});
    const std::weak_ptr<const Credentials> first = loaded.store.select("n0.example").at(0);
    CHECK_FALSE(first.expired());
    CHECK_FALSE(loaded.store.select("n1.example").empty());
    CHECK_FALSE(loaded.store.select("n0.example").empty());
    CHECK_FALSE(loaded.store.select("n2.example").empty());  // n1 was the least recently used
    CHECK_FALSE(first.expired());
    for (int i = 1; i < 6; ++i)
        CHECK(loaded.store.select("n" + std::to_string(i) + ".example").size() == 1);
    CHECK(first.expired());
    CHECK(loaded.store.select("n0.example").size() == 1);
}

TEST_CASE("many names find their certificates, and each other's neighbours do not") {
    const Folder folder;
    const Issued one = issue_for("x");
    std::vector<std::string> names;
    for (int i = 0; i < 3'000; ++i)
        names.push_back("host" + std::to_string(i) + ".example");
    const Issued many = issue({.names = names});
    folder.write("many.pem", many.both());
    folder.write("one.pem", one.both());
    const Loaded loaded({folder.path()});
    CHECK(loaded.problems.empty());
    std::size_t found = 0;
    for (const std::string& name : names)
        found += chosen(loaded.store, name) == Serials{serial_of(many)} ? 1 : 0;
    CHECK(found == names.size());
    CHECK(chosen(loaded.store, "host3000.example").empty());
    CHECK(chosen(loaded.store, "x") == Serials{serial_of(one)});
}

TEST_CASE("the listing tells names, files, dates and kinds of keys") {
    const Folder folder;
    const Issued issued = issue({.names = {"a.example", "*.a.example"}, .key = TestKey::rsa});
    const std::string file = folder.write("a.pem", issued.both());
    const auto listed = Loaded({folder.path()}).store.certificates();
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].names == std::vector<std::string>{"a.example", "*.a.example"});
    CHECK(listed[0].file == file);
    CHECK(listed[0].not_after == to_unix(X509_get0_notAfter(issued.certificate.get())));
    CHECK(to_text(listed[0].key_type) == "RSA");
}

TEST_CASE("lookups and refreshes may meet") {
    const Folder folder;
    for (int i = 0; i < 8; ++i) {
        const std::string name = "n" + std::to_string(i) + ".example";
        folder.write(name + ".pem", issue_for(name).both());
    }
    CertificateStore store({folder.path()}, {.cached = 3, .verified = 0});
    store.refresh();
    std::atomic<bool> stop{false};
    std::atomic<int> misses{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread) {
        threads.emplace_back([&] {
            for (int i = 0; !stop; ++i)
                misses += store.select("n" + std::to_string(i % 8) + ".example").empty() ? 1 : 0;
        });
    }
    for (int round = 0; round < 20; ++round) {
        folder.replace("n0.example.pem", issue_for("n0.example").both());
        store.refresh();
    }
    stop = true;
    for (std::thread& thread : threads)
        thread.join();
    CHECK(misses == 0);
}

}  // namespace
}  // namespace palier::tls
