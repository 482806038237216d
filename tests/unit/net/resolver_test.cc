#include "palier/net/resolver.h"

#include "catch.h"
#include "loop_fixture.h"

#include <algorithm>
#include <optional>

using namespace palier::net;
using namespace palier::test;
using palier::base::IpAddress;
using palier::base::Result;

namespace {

constexpr const char* kNobody = "palier-has-no-such-host.invalid";

}  // namespace

TEST_CASE("localhost is on this machine") {
    Loop loop;
    Resolver resolver(loop);
    std::optional<Result<Resolution>> answer;
    resolver.resolve("localhost", [&](Result<Resolution> result) { answer = std::move(result); });
    CHECK_FALSE(answer.has_value());
    REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
    REQUIRE(answer->has_value());
    const auto& addresses = (*answer)->addresses;
    REQUIRE_FALSE(addresses.empty());
    for (const IpAddress& address : addresses) {
        CHECK((address.to_string() == "::1" || address.to_string().starts_with("127.")));
    }
    CHECK(std::ranges::adjacent_find(addresses) == addresses.end());
}

TEST_CASE("an address is its own answer") {
    Loop loop;
    Resolver resolver(loop);
    std::optional<Result<Resolution>> answer;
    resolver.resolve("192.0.2.7", [&](Result<Resolution> result) { answer = std::move(result); });
    REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
    REQUIRE(answer->has_value());
    CHECK((*answer)->addresses == std::vector<IpAddress>{*IpAddress::parse("192.0.2.7")});
}

TEST_CASE("a name that is nobody's fails, with the name in the message") {
    Loop loop;
    Resolver resolver(loop);
    std::optional<Result<Resolution>> answer;
    resolver.resolve(kNobody, [&](Result<Resolution> result) { answer = std::move(result); });
    // Longer than the resolver's own patience with a server that does not answer.
    const std::uint64_t end = palier::base::monotonic_ms() + 60'000;
    while (!answer && palier::base::monotonic_ms() < end)
        loop.run_once(100);
    REQUIRE(answer.has_value());
    REQUIRE_FALSE(answer->has_value());
    CHECK(answer->error().message.find(kNobody) == 0);
}

TEST_CASE("several questions at once are all answered, once each") {
    Loop loop;
    Resolver resolver(loop);
    int answers = 0;
    for (int i = 0; i < 10; ++i)
        resolver.resolve("localhost", [&](const Result<Resolution>&) { ++answers; });
    REQUIRE(run_until(loop, [&] { return answers == 10; }));
    for (int turn = 0; turn < 3; ++turn)
        loop.run_once(10);
    CHECK(answers == 10);
}

TEST_CASE("an answer may ask the next question") {
    Loop loop;
    Resolver resolver(loop);
    int answers = 0;
    resolver.resolve("localhost", [&](const Result<Resolution>&) {
        ++answers;
        resolver.resolve("localhost", [&](const Result<Resolution>&) { ++answers; });
    });
    CHECK(run_until(loop, [&] { return answers == 2; }));
}

TEST_CASE("a resolver that ends drops what is under way") {
    Loop loop;
    bool answered = false;
    {
        Resolver resolver(loop);
        resolver.resolve(kNobody, [&](const Result<Resolution>&) { answered = true; });
        loop.run_once(0);
        answered = false;
    }
    for (int turn = 0; turn < 3; ++turn)
        loop.run_once(0);
    CHECK_FALSE(answered);
}
