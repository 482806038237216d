#include "tls/staple.h"

#include "captured_descriptor.h"
#include "handshake.h"

#include <algorithm>
#include <ctime>

namespace palier::tls {
namespace {

struct ResponseWish {
    std::int64_t this_s = -3600;  // from now
    std::int64_t next_s = kDay;
    int status = V_OCSP_CERTSTATUS_GOOD;
    bool has_next = true;
};

/// What an OCSP responder of `issuer` says of `subject`, in DER.
std::string respond(const Issued& subject, const Issued& issuer, const ResponseWish& wish = {}) {
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), subject.certificate.get(), issuer.certificate.get());
    const std::time_t now = std::time(nullptr);
    ASN1_TIME* this_update = ASN1_TIME_adj(nullptr, now, 0, static_cast<long>(wish.this_s));
    ASN1_TIME* next_update = ASN1_TIME_adj(nullptr, now, 0, static_cast<long>(wish.next_s));
    OCSP_basic_add1_status(basic, id, wish.status, 0,
                           wish.status == V_OCSP_CERTSTATUS_REVOKED ? this_update : nullptr, this_update,
                           wish.has_next ? next_update : nullptr);
    OCSP_basic_sign(basic, issuer.certificate.get(), issuer.key.get(), EVP_sha256(), nullptr, 0);
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &bytes);
    REQUIRE(size > 0);
    std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(response);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    ASN1_TIME_free(this_update);
    ASN1_TIME_free(next_update);
    return der;
}

struct Stapling {
    Stapling() { folder.write("a.pem", leaf.both() + root.pem()); }

    [[nodiscard]] std::string problem_of(const std::string& response) const {
        folder.write("a.ocsp", response);
        CertificateStore store({folder.path()});
        const auto problems = store.refresh().problems;
        CHECK(store.size() == 1);
        if (problems.empty()) return "";
        CHECK(problems.size() == 1);
        CHECK(problems[0].file == folder.path("a.ocsp"));
        return problems[0].reason;
    }

    Folder folder;
    Issued root = issue({.common_name = "root", .authority = true});
    Issued leaf = issue({.names = {"a.example"}}, &root);
};

TEST_CASE("a fresh response is stapled for clients that ask") {
    const Stapling stapling;
    const std::string response = respond(stapling.leaf, stapling.root);
    CHECK(stapling.problem_of(response).empty());
    const Server server({stapling.folder.path()});
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CHECK(server.meet({.name = "a.example", .version = version, .staple = true}).staple == response);
        CHECK(server.meet({.name = "a.example", .version = version}).staple.empty());
    }
}

TEST_CASE("the response is that of the certificate that was chosen") {
    const Stapling stapling;
    const Issued rsa = issue({.names = {"a.example"}, .key = TestKey::rsa}, &stapling.root);
    stapling.folder.write("rsa.pem", rsa.both() + stapling.root.pem());
    const std::string for_ecdsa = respond(stapling.leaf, stapling.root);
    const std::string for_rsa = respond(rsa, stapling.root);
    stapling.folder.write("a.ocsp", for_ecdsa);
    stapling.folder.write("rsa.ocsp", for_rsa);
    const Server server({stapling.folder.path()});
    const auto staple = [&](const char* signatures) {
        return server.meet({.name = "a.example", .signatures = signatures, .staple = true}).staple;
    };
    CHECK(staple("ECDSA+SHA256") == for_ecdsa);
    CHECK(staple("RSA-PSS+SHA256") == for_rsa);
}

TEST_CASE("a response is believed only about its certificate") {
    const Stapling stapling;
    const Issued sibling = issue({.names = {"b.example"}}, &stapling.root);
    const Issued impostor = issue({.common_name = "root", .authority = true});
    const std::string foreign = "it is about another certificate; it is not stapled";
    CHECK(stapling.problem_of(respond(sibling, stapling.root)) == foreign);
    CHECK(stapling.problem_of(respond(stapling.leaf, impostor)) == foreign);
    const Server server({stapling.folder.path()});
    const Outcome outcome = server.meet({.name = "a.example", .staple = true});
    CHECK(outcome.done);
    CHECK(outcome.staple.empty());
}

TEST_CASE("without the issuer in the chain, serial number and issuer's name decide") {
    const Stapling stapling;
    const Issued sibling = issue({.names = {"b.example"}}, &stapling.root);
    stapling.folder.write("a.pem", stapling.leaf.both());
    CHECK(stapling.problem_of(respond(stapling.leaf, stapling.root)).empty());
    CHECK(stapling.problem_of(respond(sibling, stapling.root)) ==
          "it is about another certificate; it is not stapled");
}

TEST_CASE("what is wrong with a response is told") {
    const Stapling stapling;
    const auto problem = [&](const ResponseWish& wish) {
        return stapling.problem_of(respond(stapling.leaf, stapling.root, wish));
    };
    CHECK(stapling.problem_of("garbage") == "it is no OCSP response in DER; it is not stapled");
    CHECK(stapling.problem_of("") == "it is no OCSP response in DER; it is not stapled");
    CHECK(problem({.status = V_OCSP_CERTSTATUS_REVOKED}) ==
          "it says that the certificate is revoked; it is not stapled");
    CHECK(problem({.has_next = false}) == "it does not say until when it holds; it is not stapled");
    CHECK(problem({.this_s = -2 * kDay, .next_s = -kDay}) == "it is not fresh; it is not stapled");
    CHECK(problem({.this_s = kDay, .next_s = 2 * kDay}) == "it is not fresh; it is not stapled");
    const std::string good = respond(stapling.leaf, stapling.root);
    for (std::size_t size = 0; size < good.size(); size += 7)
        CHECK_FALSE(stapling.problem_of(good.substr(0, size)).empty());
}

TEST_CASE("a response that becomes stale is dropped, with one warning") {
    const Stapling stapling;
    stapling.folder.write("a.ocsp", respond(stapling.leaf, stapling.root, {.next_s = 2}));
    const Server server({stapling.folder.path()});
    const ClientWish asking{.name = "a.example", .staple = true};
    CHECK_FALSE(server.meet(asking).staple.empty());
    const test::CapturedDescriptor err(STDERR_FILENO);
    const std::time_t end = std::time(nullptr) + 10;
    while (!server.meet(asking).staple.empty() && std::time(nullptr) < end)
        ::usleep(20'000);
    const Outcome outcome = server.meet(asking);
    CHECK(outcome.done);
    CHECK(outcome.staple.empty());
    const std::string logged = err.text();
    CHECK(std::ranges::count(logged, '\n') == 1);
    CHECK(logged.find("a.ocsp: it is not fresh") != std::string::npos);
}

TEST_CASE("a renewed response is used at the next handshake") {
    const Stapling stapling;
    stapling.folder.write("a.ocsp",
                          respond(stapling.leaf, stapling.root, {.this_s = -3 * kDay, .next_s = -kDay}));
    const Server server({stapling.folder.path()});
    CHECK(server.meet({.name = "a.example", .staple = true}).staple.empty());
    const std::string response = respond(stapling.leaf, stapling.root);
    stapling.folder.replace("a.ocsp", response);
    server.store->refresh();
    CHECK(server.meet({.name = "a.example", .staple = true}).staple == response);
    stapling.folder.remove("a.ocsp");
    server.store->refresh();
    CHECK(server.meet({.name = "a.example", .staple = true}).staple.empty());
}

}  // namespace
}  // namespace palier::tls
