#include "palier/net/descriptors.h"

#include "catch.h"
#include "loop_fixture.h"

#include <array>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace palier::net;
using namespace palier::test;

namespace {

bool same_file(int a, int b) {
    struct stat of_a {};
    struct stat of_b {};
    return ::fstat(a, &of_a) == 0 && ::fstat(b, &of_b) == 0 && of_a.st_ino == of_b.st_ino &&
           of_a.st_dev == of_b.st_dev;
}

std::vector<Descriptor> files(std::size_t count) {
    std::vector<Descriptor> opened;
    for (std::size_t i = 0; i < count; ++i)
        opened.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return opened;
}

std::vector<int> numbers_of(const std::vector<Descriptor>& descriptors) {
    std::vector<int> numbers;
    for (const Descriptor& descriptor : descriptors)
        numbers.push_back(descriptor.get());
    return numbers;
}

void close_all(std::vector<int>& descriptors) {
    for (const int descriptor : descriptors)
        ::close(descriptor);
    descriptors.clear();
}

}  // namespace

TEST_CASE("descriptors arrive in their order, beside their bytes, closed on exec") {
    const auto [here, there] = socket_pair();
    const auto [first, second] = socket_pair();
    const std::array given{first.get(), second.get()};
    REQUIRE(send_with_descriptors(here.get(), "two\n", given).size == 4);

    std::array<char, 64> room{};
    std::vector<int> taken;
    const IoResult got = receive_with_descriptors(there.get(), room, taken);
    REQUIRE(got.status == IoStatus::ok);
    CHECK(std::string_view(room.data(), got.size) == "two\n");
    REQUIRE(taken.size() == 2);
    CHECK(same_file(taken[0], first.get()));
    CHECK(same_file(taken[1], second.get()));
    for (const int descriptor : taken)
        CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    close_all(taken);
}

TEST_CASE("bytes without descriptors pass as they are, and an end is told") {
    auto [here, there] = socket_pair();
    REQUIRE(send_with_descriptors(here.get(), "plain", {}).size == 5);
    std::array<char, 64> room{};
    std::vector<int> taken;
    CHECK(receive_with_descriptors(there.get(), room, taken).size == 5);
    CHECK(receive_with_descriptors(here.get(), room, taken).status == IoStatus::would_block);
    here.close();
    CHECK(receive_with_descriptors(there.get(), room, taken).status == IoStatus::closed);
    CHECK(taken.empty());
}

TEST_CASE("a batch of the largest size passes, and batches do not run into each other") {
    const auto [here, there] = socket_pair();
    const auto opened = files(kMostDescriptorsAtOnce);
    const auto given = numbers_of(opened);
    REQUIRE(send_with_descriptors(here.get(), "a", given).size == 1);
    REQUIRE(send_with_descriptors(here.get(), "b", std::span(given).first(3)).size == 1);

    std::array<char, 64> room{};
    std::vector<int> taken;
    REQUIRE(receive_with_descriptors(there.get(), room, taken).size == 1);
    CHECK(taken.size() == kMostDescriptorsAtOnce);
    close_all(taken);
    REQUIRE(receive_with_descriptors(there.get(), room, taken).size == 1);
    CHECK(taken.size() == 3);
    close_all(taken);
}

TEST_CASE("descriptors that find no room are an error, and none of them stays open") {
    const auto [here, there] = socket_pair();
    const auto opened = files(20);
    const auto given = numbers_of(opened);
    REQUIRE(send_with_descriptors(here.get(), "many", given).size == 4);

    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(here.get());
    ::close(next);
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(next) + 5;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
    std::array<char, 64> room{};
    std::vector<int> taken;
    const IoResult got = receive_with_descriptors(there.get(), room, taken);
    const int next_after = ::dup(here.get());
    ::close(next_after);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);

    CHECK(got.status == IoStatus::failed);
    CHECK(got.error == EMFILE);
    CHECK(taken.empty());
    CHECK(next_after == next);
}

TEST_CASE("what cannot be sent is told") {
    auto [here, there] = socket_pair();
    there.close();
    const IoResult sent = send_with_descriptors(here.get(), "x", {});
    CHECK(sent.status == IoStatus::failed);
    CHECK(sent.error == EPIPE);
}
