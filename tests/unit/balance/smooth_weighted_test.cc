#include "palier/balance/smooth_weighted.h"

#include "catch.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

using palier::balance::SmoothWeighted;

namespace {

std::size_t allocations = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (void* memory = operator new(size, std::nothrow)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace {

using Weights = std::vector<std::uint32_t>;

/// The rule as it stands, with a look at every entry.
struct Plain {
    explicit Plain(const Weights& from) : weights(from), credits(from.size(), 0) {}

    std::size_t pick() {
        std::size_t best = SmoothWeighted::kNone;
        std::int64_t total = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            if (weights[i] == 0) continue;
            credits[i] += weights[i];
            total += weights[i];
            if (best == SmoothWeighted::kNone || credits[i] > credits[best]) best = i;
        }
        if (best != SmoothWeighted::kNone) credits[best] -= total;
        return best;
    }

    Weights weights;
    std::vector<std::int64_t> credits;
};

SmoothWeighted make(const Weights& weights) {
    SmoothWeighted rotation;
    rotation.assign(weights);
    return rotation;
}

std::string letters(SmoothWeighted& rotation, int picks) {
    std::string text;
    for (int i = 0; i < picks; ++i)
        text += static_cast<char>('a' + rotation.pick());
    return text;
}

std::vector<std::uint64_t> shares(SmoothWeighted& rotation, std::uint64_t picks) {
    std::vector<std::uint64_t> shares(rotation.size(), 0);
    for (std::uint64_t i = 0; i < picks; ++i)
        ++shares[rotation.pick()];
    return shares;
}

/// Whether `picks` picks agree with the rule.
void require_same(SmoothWeighted& rotation, Plain& plain, std::size_t picks) {
    for (std::size_t i = 0; i < picks; ++i) {
        const std::size_t expected = plain.pick();
        const std::size_t got = rotation.pick();
        if (got != expected) FAIL("pick " << i << " is " << got << ", not " << expected);
    }
}

/// Whether one whole rotation gives every entry its weight, give or take `slack`.
void require_fair(SmoothWeighted& rotation, std::uint64_t slack) {
    const auto got = shares(rotation, rotation.total());
    for (std::size_t i = 0; i < got.size(); ++i) {
        const std::uint64_t weight = rotation.weight(i);
        if (got[i] + slack < weight || got[i] > weight + slack || (weight == 0 && got[i] != 0)) {
            FAIL("entry " << i << " of weight " << weight << " was picked " << got[i] << " times");
        }
    }
}

Weights random_weights(std::mt19937& random, std::size_t count, std::uint32_t most) {
    Weights weights(count);
    for (auto& weight : weights)
        weight = random() % 8 == 0 ? 0 : static_cast<std::uint32_t>(random() % (most + 1));
    weights[random() % count] = most;
    return weights;
}

}  // namespace

TEST_CASE("weights 5, 1, 1 are mixed smoothly") {
    auto rotation = make({5, 1, 1});
    CHECK(letters(rotation, 14) == "aabacaaaabacaa");
}

TEST_CASE("weights 3, 2, 1 are mixed smoothly") {
    auto rotation = make({3, 2, 1});
    CHECK(letters(rotation, 12) == "abacbaabacba");
}

TEST_CASE("equal weights take turns in order, with and without a tree") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 1, 2, 3, 16, 17, 18, 100);
    auto rotation = make(Weights(count, 100));
    for (std::size_t i = 0; i < 5 * count; ++i)
        REQUIRE(rotation.pick() == i % count);
}

TEST_CASE("with nothing to pick, nothing is picked") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 0, 1, 2, 40);
    auto rotation = make(Weights(count, 0));
    CHECK(rotation.size() == count);
    CHECK(rotation.total() == 0);
    CHECK(rotation.pick() == SmoothWeighted::kNone);
    rotation.skip(1'000'000'000'000);
    if (count == 0) return;
    rotation.set_weight(count - 1, 7);
    CHECK(rotation.total() == 7);
    CHECK(rotation.pick() == count - 1);
    rotation.set_weight(count - 1, 0);
    CHECK(rotation.pick() == SmoothWeighted::kNone);
}

TEST_CASE("picks are those of the plain rule, draws included") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 1, 2, 3, 7, 16, 17, 31, 64, 100, 257, 1'000);
    const std::uint32_t most = GENERATE(as<std::uint32_t>{}, 1, 3, 100, 65'535);
    std::mt19937 random(static_cast<unsigned>(count * 7 + most));
    const Weights weights = random_weights(random, count, most);
    CAPTURE(count, most);
    auto rotation = make(weights);
    Plain plain(weights);
    require_same(rotation, plain, count < 100 ? 20'000 : 4'000);
}

TEST_CASE("a long run stays with the plain rule") {
    // More than two million picks: past the places where the tree starts to count from 0 again.
    const std::size_t count = GENERATE(as<std::size_t>{}, 5, 20);
    std::mt19937 random(11);
    const Weights weights = random_weights(random, count, 65'535);
    auto rotation = make(weights);
    Plain plain(weights);
    require_same(rotation, plain, 2'500'000);
}

TEST_CASE("weights that change a little leave everybody's place as the plain rule has it") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 17, 50, 200);
    std::mt19937 random(5);
    Weights weights(count);
    for (auto& weight : weights)
        weight = static_cast<std::uint32_t>(900 + random() % 200);
    auto rotation = make(weights);
    Plain plain(weights);
    for (int change = 0; change < 500; ++change) {
        const std::size_t index = random() % count;
        const auto weight = static_cast<std::uint32_t>(900 + random() % 200);
        rotation.set_weight(index, weight);
        plain.weights[index] = weight;
        require_same(rotation, plain, random() % 100);
    }
}

TEST_CASE("skipping is picking without looking") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 3, 40);
    std::mt19937 random(3);
    const Weights weights = random_weights(random, count, 50);
    auto skipping = make(weights);
    auto picking = make(weights);
    skipping.skip(777);
    for (int i = 0; i < 777; ++i)
        static_cast<void>(picking.pick());
    for (int i = 0; i < 1'000; ++i)
        REQUIRE(skipping.pick() == picking.pick());
}

TEST_CASE("assigning starts afresh") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 3, 40);
    std::mt19937 random(9);
    auto rotation = make(random_weights(random, count + 30, 65'535));
    rotation.skip(12'345);
    const Weights weights = random_weights(random, count, 50);
    rotation.assign(weights);
    Plain plain(weights);
    require_same(rotation, plain, 1'000);
}

TEST_CASE("changed weights are obeyed at once, and one rotation is fair") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 2, 5, 16, 17, 100);
    std::mt19937 random(static_cast<unsigned>(count));
    auto rotation = make(random_weights(random, count, 200));
    for (int round = 0; round < 20; ++round) {
        for (int change = 0; change < 5; ++change) {
            rotation.skip(random() % 300);
            rotation.set_weight(random() % count, static_cast<std::uint32_t>(random() % 201));
        }
        rotation.set_weight(random() % count, 200);
        CAPTURE(count, round);
        require_fair(rotation, 4);
    }
}

TEST_CASE("an entry that comes back has no backlog to catch up with") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 3, 40);
    auto rotation = make(Weights(count, 10));
    rotation.skip(1);
    rotation.set_weight(1, 0);
    rotation.skip(100'000);
    rotation.set_weight(1, 10);
    const auto got = shares(rotation, 10 * count);
    for (const std::uint64_t share : got) {
        CHECK(share >= 9);
        CHECK(share <= 11);
    }
}

TEST_CASE("an entry that fails whenever it is picked does not unbalance the others") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 3, 40);
    auto rotation = make(Weights(count, 10));
    for (int i = 0; i < 200'000; ++i) {
        const std::size_t picked = rotation.pick();
        if (picked != 0) continue;
        rotation.set_weight(0, 0);
        rotation.skip(3);
        rotation.set_weight(0, 10);
    }
    require_fair(rotation, 2);
}

TEST_CASE("debts of heavy days do not outlast them") {
    // The light entries owe nearly a whole heavy rotation when the heavy one becomes light as well.
    const std::size_t count = GENERATE(as<std::size_t>{}, 2, 40);
    Weights weights(count, 1);
    weights[count / 2] = 65'535;
    auto rotation = make(weights);
    rotation.skip(33'000 + count);
    rotation.set_weight(count / 2, 1);
    rotation.skip(4 * count);
    require_fair(rotation, 1);
    CHECK(shares(rotation, 10 * count) == std::vector<std::uint64_t>(count, 10));
}

TEST_CASE("picking, skipping and changing weights allocate nothing") {
    const std::size_t count = GENERATE(as<std::size_t>{}, 1, 16, 1'000);
    auto rotation = make(Weights(count, 100));
    const std::size_t before = allocations;
    for (std::size_t i = 0; i < 10'000; ++i) {
        rotation.set_weight(i % count, static_cast<std::uint32_t>(i % 200));
        static_cast<void>(rotation.pick());
        rotation.skip(3);
    }
    CHECK(allocations == before);
}

TEST_CASE("a pick's cost grows as the logarithm of the entries") {
    const std::uint32_t most = GENERATE(as<std::uint32_t>{}, 1, 100, 65'535);
    for (const std::size_t count : {32U, 256U, 1'024U, 8'192U}) {
        std::mt19937 random(1);
        auto rotation = make(random_weights(random, count, most));
        rotation.skip(2 * count);
        const std::uint64_t before = rotation.matches();
        constexpr std::uint64_t kPicks = 50'000;
        rotation.skip(kPicks);
        const auto height = static_cast<std::uint64_t>(std::countr_zero(count));
        CAPTURE(count, most);
        CHECK(rotation.matches() - before >= height * kPicks);
        CHECK(rotation.matches() - before <= 3 * height * kPicks);
    }
}

TEST_CASE("a changed weight costs as the logarithm of the entries") {
    constexpr std::size_t kCount = 1'024;
    auto rotation = make(Weights(kCount, 100));
    const std::uint64_t before = rotation.matches();
    for (std::size_t i = 0; i < 10'000; ++i) {
        // A server at its limit leaves and returns with each exchange.
        rotation.set_weight(i % kCount, 0);
        rotation.set_weight(i % kCount, 100);
    }
    CHECK(rotation.matches() - before <= 10'000 * 2 * 10);
}
