#include "health/text_search.h"

#include "catch.h"

#include <cstdint>
#include <random>
#include <string>

using palier::health::TextSearch;

namespace {

bool finds(std::string_view text, std::string_view bytes, std::size_t size) {
    TextSearch search(text);
    for (std::size_t at = 0; at < bytes.size(); at += size)
        search.look_at(bytes.substr(at, size));
    return search.found();
}

}  // namespace

TEST_CASE("text search: as std::string finds it, however cut", "[text_search]") {
    std::mt19937 random(7);  // NOLINT: the same texts each time
    const auto letters = [&](std::size_t most) {
        std::string text(random() % (most + 1), '\0');
        for (char& c : text)
            c = "ab"[random() % 2];
        return text;
    };
    for (int round = 0; round < 5000; ++round) {
        const std::string text = letters(6);
        const std::string bytes = letters(30);
        const bool there = bytes.find(text) != std::string::npos;
        INFO("\"" << text << "\" in \"" << bytes << "\"");
        for (const std::size_t size : {1U, 2U, 5U, 100U})
            CHECK(finds(text, bytes, size) == there);
    }
}

TEST_CASE("text search: bytes of any value", "[text_search]") {
    using namespace std::string_literals;
    CHECK(finds("\0\xff"s, "a\0\0\xff"s, 1));
    CHECK_FALSE(finds("\0\xff"s, "a\0\xfe"s, 1));
    CHECK(finds("", "", 1));
    CHECK_FALSE(finds("a", "", 1));
}
