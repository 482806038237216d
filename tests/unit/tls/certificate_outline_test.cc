#include "tls/certificate_outline.h"

#include "certificates.h"
#include "tls/der.h"

#include <ctime>

namespace palier::tls {
namespace {

CertificateOutline outline_of(const Wish& wish) {
    const auto outline = outline_certificate(issue(wish).der());
    REQUIRE(outline);
    return *outline;
}

TEST_CASE("a certificate's outline has what OpenSSL says of it") {
    const Issued issued = issue({.names = {"Shop.Example.COM", "*.example.com", "IP:192.0.2.1"}});
    const auto outline = outline_certificate(issued.der());
    REQUIRE(outline);
    CHECK(outline->names == "shop.example.com\n*.example.com\n");
    CHECK(outline->key_type == KeyType::ecdsa);
    CHECK_FALSE(outline->authority);
    CHECK(outline->not_before == to_unix(X509_get0_notBefore(issued.certificate.get())));
    CHECK(outline->not_after == to_unix(X509_get0_notAfter(issued.certificate.get())));
}

TEST_CASE("years after 2049 are written in another form") {
    const Issued issued = issue({.names = {"a.example"}, .until_s = 60 * 365 * kDay});
    const auto outline = outline_certificate(issued.der());
    REQUIRE(outline);
    CHECK(outline->not_after == to_unix(X509_get0_notAfter(issued.certificate.get())));
    CHECK(outline->not_after > std::time(nullptr) + 59 * 365 * kDay);
}

TEST_CASE("kinds of keys and authorities are told apart") {
    CHECK(outline_of({.names = {"a.example"}, .key = TestKey::rsa}).key_type == KeyType::rsa);
    CHECK(outline_of({.names = {"a.example"}, .key = TestKey::ed25519}).key_type == KeyType::ed25519);
    CHECK(outline_of({.names = {"a.example"}, .authority = true}).authority);
}

TEST_CASE("the common name counts only without alternative host names") {
    CHECK(outline_of({.common_name = "cn.example"}).names == "cn.example\n");
    CHECK(outline_of({.names = {"a.example"}, .common_name = "cn.example"}).names == "a.example\n");
    CHECK(outline_of({.names = {"IP:192.0.2.1"}, .common_name = "cn.example"}).names == "cn.example\n");
    CHECK(outline_of({.common_name = "No Host"}).names.empty());
}

TEST_CASE("alternative names that are no host names are left out") {
    CHECK(outline_of({.names = {"a.*.example", "f*.example", "*", "a..example", "a.example."}}).names ==
          "a.example\n");
}

TEST_CASE("a name with bytes that are none of a name's is no name") {
    std::string der = issue_for("evil.example").der();
    const std::size_t at = der.rfind("evil.example");
    for (const char byte : {'\0', '\n', ' ', '/', '\x80'}) {
        der[at + 4] = byte;
        const auto outline = outline_certificate(der);
        REQUIRE(outline);
        CHECK(outline->names.empty());
    }
}

TEST_CASE("a certificate that is cut, lengthened or followed is none") {
    const std::string der = issue_for("a.example").der();
    REQUIRE(outline_certificate(der));
    for (std::size_t size = 0; size < der.size(); ++size) {
        // In memory of its own, so that a read past the end is seen by sanitizers.
        const std::vector<char> bytes(der.begin(), der.begin() + static_cast<long>(size));
        CHECK_FALSE(outline_certificate({bytes.data(), bytes.size()}));
    }
    CHECK_FALSE(outline_certificate(der + '\0'));
}

TEST_CASE("no changed byte makes an outline read out of bounds, or names of foreign bytes") {
    const std::string der = issue({.names = {"a.example", "*.b.example"}}).der();
    std::size_t refused = 0;
    for (std::size_t at = 0; at < der.size(); ++at) {
        for (const int change : {0x01, 0x7f, 0x80, 0xff}) {
            std::vector<char> bytes(der.begin(), der.end());
            bytes[at] = static_cast<char>(bytes[at] ^ change);
            const auto outline = outline_certificate({bytes.data(), bytes.size()});
            if (!outline) {
                ++refused;
                continue;
            }
            CHECK(outline->names.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.*\n") ==
                  std::string::npos);
        }
    }
    CHECK(refused > 100);
}

TEST_CASE("DER is read strictly") {
    const auto reads = [](std::string_view bytes) { return DerReader(bytes).next().has_value(); };
    using namespace std::string_view_literals;
    CHECK(reads("\x02\x01\x05"sv));
    CHECK(reads("\x02\x00"sv));
    CHECK_FALSE(reads(""sv));
    CHECK_FALSE(reads("\x02"sv));
    CHECK_FALSE(reads("\x02\x02\x05"sv));
    CHECK_FALSE(reads("\x02\x80\x05\x00\x00"sv));          // indefinite
    CHECK_FALSE(reads("\x02\x81\x01\x05"sv));              // not minimal
    CHECK_FALSE(reads("\x1f\x01\x05"sv));                  // long tag
    CHECK_FALSE(reads("\x02\x84\xff\xff\xff\xff\x05"sv));  // longer than any file
    CHECK_FALSE(reads("\x02\x83\xff\xff\xff\x05"sv));
    CHECK_FALSE(reads("\x02\x82\x00\x81"sv.substr(0, 4)));
    const std::string long_value = std::string("\x04\x81\x80") + std::string(128, 'x');
    CHECK(reads(long_value));
    DerReader reader("\x02\x01\x05\x04\x01x"sv);
    CHECK_FALSE(reader.next(der::kOctetString));
    CHECK(reader.next(der::kInteger) == "\x05"sv);
    CHECK(reader.next(der::kOctetString) == "x"sv);
    CHECK(reader.at_end());
}

}  // namespace
}  // namespace palier::tls
