#include "palier/demo/guide.h"

#include "catch.h"

#include <array>

namespace palier::demo {
namespace {

const std::array<FrontAddress, 3> kFronts{{{"front1", 40001, 3}, {"front2", 40002, 2}, {"front3", 40003, 1}}};

constexpr ProxyPorts kPorts{.http = 8080, .https = 8443};

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST_CASE("the configuration names every front with its port and weight") {
    const std::string text = config_text(kPorts, kFronts, "/proc/self/fd/7");
    CHECK(contains(text, "address = \"127.0.0.1:8080\"\n"));
    CHECK(contains(text, "\n[[listener]]\nname    = \"https\"\naddress = \"127.0.0.1:8443\"\n"));
    CHECK(contains(text, "\n  certificates = [\"/proc/self/fd/7\"]\n"));
    CHECK(contains(text, "  name    = \"front1\"\n  address = \"127.0.0.1:40001\"\n  weight  = 3\n"));
    CHECK(contains(text, "  name    = \"front2\"\n  address = \"127.0.0.1:40002\"\n  weight  = 2\n"));
    CHECK(contains(text, "  name    = \"front3\"\n  address = \"127.0.0.1:40003\"\n  weight  = 1\n"));
}

TEST_CASE("without a certificate the https listener is a comment that can be taken away") {
    const std::string text = config_text(kPorts, kFronts, "");
    CHECK(contains(text, "\n# [[listener]]\n# name    = \"https\"\n# address = \"127.0.0.1:8443\"\n"));
    CHECK(contains(text, "\n#   certificates = [\"localhost.pem\"]\n"));
    CHECK(contains(text, "-keyout localhost.pem -out localhost.pem\n"));
    CHECK_FALSE(contains(text, "\nname    = \"https\""));
}

TEST_CASE("what to try can be copied to a shell") {
    const std::string text = what_to_try("build/release/palier", kPorts, kFronts, "/run/demo.sock");
    CHECK(contains(text, "http://127.0.0.1:8080/"));
    CHECK(contains(text, "weight 3: 3 of 6 requests"));
    CHECK(contains(text, "curl -s 'http://127.0.0.1:8080/?[1-60]' | grep -o '^front[^ ]*' | sort | uniq -c"));
    CHECK(contains(text, "curl -X POST 'http://127.0.0.1:40003/outage?s=20'"));
    CHECK(contains(text, "curl -w '%{time_total} s\\n' 'http://127.0.0.1:8080/slow?ms=500'"));
    CHECK(contains(text, "build/release/palier ctl -s /run/demo.sock pools\n"));
    CHECK(contains(text, "curl -k https://localhost:8443/\n"));
    CHECK(contains(text,
                   "curl -k --http2 -o /dev/null -w 'HTTP/%{http_version}\\n' https://localhost:8443/\n"));
    CHECK(contains(text, "build/release/palier check -c palier.toml"));
}

}  // namespace
}  // namespace palier::demo
