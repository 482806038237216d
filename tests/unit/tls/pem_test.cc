#include "tls/pem.h"

#include "certificates.h"

namespace palier::tls {
namespace {

std::string decoded(std::string_view text) {
    std::string out;
    return decode_base64(text, out) ? out : "refused";
}

TEST_CASE("base64 is decoded, and refused where it is none") {
    CHECK(decoded("Zm9vYmFy") == "foobar");
    CHECK(decoded("Zm9v\nYmE=\r\n") == "fooba");
    CHECK(decoded(" Zm9vYg = =") == "foob");
    for (const char* bad : {"", "=", "Z", "Zg", "Zg=", "Zg===", "Zm9v=", "Zm9vYg==Zg==", "Zm9*", "Zm9v\x80"})
        CHECK(decoded(bad) == "refused");
}

TEST_CASE("a file's blocks are found in any order, among other text") {
    const Issued a = issue_for("a.example");
    const Issued b = issue_for("b.example");
    const std::string text =
        "Bag Attributes\n" + a.key_pem() + "junk\n" + b.pem() +
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + a.pem();
    const auto contents = read_pem(text);
    REQUIRE(contents);
    REQUIRE(contents->certificates.size() == 2);
    REQUIRE(contents->key);
    CHECK(contents->key->label == "PRIVATE KEY");
    CHECK_FALSE(contents->key_is_encrypted);
    CHECK(decoded(contents->certificates[0]) == b.der());
    CHECK(decoded(contents->certificates[1]) == a.der());
}

TEST_CASE("a file cut anywhere is either shorter or broken, and never more than it was") {
    const std::string whole = issue_for("a.example").both();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto contents = read_pem(std::string_view(whole).substr(0, size));
        if (contents && contents->key) CHECK(size + 2 > whole.size());
        if (!contents) CHECK(contents.error().find("does not end") != std::string::npos);
    }
}

TEST_CASE("what is wrong with a file is said") {
    const std::string key = issue_for("a.example").key_pem();
    CHECK(read_pem(key + key).error() == "it has two private keys");
    CHECK(read_pem("-----BEGIN CERTIFICATE").error() == "a BEGIN line does not end");
    CHECK(read_pem("-----BEGIN CERTIFICATE-----\nZm9v\n").error() == "a block \"CERTIFICATE\" does not end");
    CHECK(read_pem("-----BEGIN CERTIFICATE-----\nZm9v\n-----END PRIVATE KEY-----\n").error() ==
          "a block \"CERTIFICATE\" does not end");
    CHECK(read_pem("no blocks")->certificates.empty());
}

TEST_CASE("encrypted keys are known as such") {
    CHECK(read_pem("-----BEGIN ENCRYPTED PRIVATE KEY-----\nZm9v\n-----END ENCRYPTED PRIVATE KEY-----\n")
              ->key_is_encrypted);
    CHECK(
        read_pem("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nZm9v\n"
                 "-----END RSA PRIVATE KEY-----\n")
            ->key_is_encrypted);
}

}  // namespace
}  // namespace palier::tls
