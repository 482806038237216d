#include "palier/proxy/termination.h"

#include "catch.h"

#include <set>
#include <string_view>

using namespace palier::proxy;
using palier::base::Side;

TEST_CASE("a termination's facts stand together") {
    CHECK(text_of(Termination::ok) == "ok");
    CHECK_FALSE(is_error(Termination::ok));
    CHECK(text_of(Termination::client_closed) == "client_closed");
    CHECK(side_of(Termination::client_closed) == Side::client);
    CHECK(is_error(Termination::client_closed));
    CHECK(text_of(Termination::internal) == "internal");
    CHECK(side_of(Termination::backend_cut) == Side::backend);
    CHECK(side_of(Termination::shutdown) == Side::ourselves);
}

TEST_CASE("every termination has a word and a meaning of its own") {
    std::set<std::string_view> words;
    std::set<std::string_view> meanings;
    for (const TerminationFacts& facts : kTerminations) {
        words.insert(facts.text);
        meanings.insert(facts.meaning);
    }
    CHECK(words.size() == kTerminations.size());
    CHECK(meanings.size() == kTerminations.size());
    CHECK(kTerminations.size() == static_cast<std::size_t>(Termination::internal) + 1);
}
