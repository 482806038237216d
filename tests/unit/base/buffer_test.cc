#include "palier/base/buffer.h"

#include "catch.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using palier::base::Buffer;
using palier::base::BufferCache;

TEST_CASE("a buffer without bytes owns no memory") {
    Buffer buffer;
    CHECK(buffer.empty());
    CHECK(buffer.size() == 0);
    CHECK(buffer.room() == 0);
    CHECK(buffer.view().empty());
    buffer.append("");
    CHECK(buffer.room() == 0);
    buffer.consume(0);
    buffer.release();
}

TEST_CASE("bytes come out as they went in") {
    Buffer buffer;
    buffer.append("hello");
    buffer.append(' ');
    buffer.append("world");
    CHECK(buffer.view() == "hello world");
    buffer.consume(6);
    CHECK(buffer.view() == "world");
    char* place = buffer.reserve(3);
    place[0] = '!';
    buffer.commit(1);
    CHECK(buffer.view() == "world!");
    buffer.consume(6);
    CHECK(buffer.empty());
}

TEST_CASE("reserving gives room and keeps the bytes") {
    BufferCache cache;
    Buffer buffer(&cache);
    buffer.append("abc");
    static_cast<void>(buffer.reserve(100'000));
    CHECK(buffer.room() >= 100'000);
    CHECK(buffer.view() == "abc");
}

TEST_CASE("clearing keeps the memory, releasing gives it back") {
    Buffer buffer;
    buffer.append("abc");
    const std::size_t capacity = buffer.room() + buffer.size();
    buffer.clear();
    CHECK(buffer.empty());
    CHECK(buffer.room() == capacity);
    buffer.release();
    CHECK(buffer.room() == 0);
    buffer.append("again");
    CHECK(buffer.view() == "again");
}

TEST_CASE("a consumed front is used again before the buffer grows") {
    Buffer buffer;
    buffer.append(std::string(1'000, 'a'));
    const char* memory = buffer.data();
    for (int i = 0; i < 1'000; ++i) {
        buffer.consume(900);
        buffer.append(std::string(900, 'b'));
        REQUIRE(buffer.size() == 1'000);
    }
    buffer.consume(1'000);
    buffer.append('c');
    CHECK(buffer.data() == memory);
}

TEST_CASE("moving takes the bytes along") {
    BufferCache cache;
    Buffer from(&cache);
    from.append("abc");
    Buffer to(std::move(from));
    CHECK(to.view() == "abc");
    Buffer third;
    third.append("xyz");
    third = std::move(to);
    CHECK(third.view() == "abc");
}

TEST_CASE("a cache hands freed blocks out again") {
    BufferCache cache;
    const char* memory = nullptr;
    {
        Buffer buffer(&cache);
        buffer.append(std::string(3'000, 'a'));
        memory = buffer.data();
    }
    Buffer other(&cache);
    static_cast<void>(other.reserve(4'000));  // of the same class, 4 KiB
    CHECK(other.data() == memory);
}

TEST_CASE("a cache that drops its spares hands out none of them") {
    BufferCache cache;
    { Buffer(&cache).append(std::string(200'000, 'a')); }
    cache.drop_spares();
    Buffer other(&cache);
    other.append(std::string(200'000, 'b'));
    CHECK(other.view() == std::string(200'000, 'b'));
}

TEST_CASE("a cache's blocks are as large as they say") {
    const std::size_t wanted = GENERATE(as<std::size_t>{}, 1, 1'023, 1'024, 1'025, 65'536, 65'537, 262'144, 262'145, 1'000'000);
    BufferCache cache;
    std::size_t size = wanted;
    char* block = cache.take(size);
    CHECK(size >= wanted);
    CHECK(size >= BufferCache::kSmallest);
    block[0] = block[size - 1] = 'x';
    cache.give(block, size);
}

TEST_CASE("random use agrees with a string") {
    const bool cached = GENERATE(false, true);
    BufferCache cache;
    Buffer buffer(cached ? &cache : nullptr);
    std::string model;
    std::mt19937 random(4);
    for (int step = 0; step < 20'000; ++step) {
        const std::size_t amount = random() % (random() % 20 == 0 ? 20'000 : 400);
        switch (random() % 8) {
            case 0:
                buffer.release();
                model.clear();
                break;
            case 1:
            case 2:
            case 3: {
                const std::size_t taken = std::min(amount * 2, model.size());
                buffer.consume(taken);
                model.erase(0, taken);
                break;
            }
            case 4: {
                std::fill_n(buffer.reserve(amount), amount, 'r');
                buffer.commit(amount);
                model.append(amount, 'r');
                break;
            }
            default: {
                const std::string bytes(amount, static_cast<char>('a' + step % 26));
                buffer.append(bytes);
                model += bytes;
            }
        }
        REQUIRE(buffer.view() == model);
    }
}
