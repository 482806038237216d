#include "control/output_queue.h"

#include "catch.h"
#include "net/loop_fixture.h"
#include "palier/net/descriptors.h"

#include <string>
#include <vector>

#include <sys/stat.h>

namespace palier::control {
namespace {

ino_t inode_of(int descriptor) {
    struct stat found {};
    REQUIRE(::fstat(descriptor, &found) == 0);
    return found.st_ino;
}

TEST_CASE("short writes neither lose nor repeat bytes or descriptors") {
    net::Loop loop;
    auto [ours, theirs] = test::socket_pair();
    const int small = 1;  // the kernel makes it its least
    REQUIRE(::setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    ::fcntl(theirs.get(), F_SETFL, O_NONBLOCK);
    test::RecordingWatcher watcher;
    net::Socket socket;
    REQUIRE(socket.adopt(loop, ours.release(), watcher));

    OutputQueue queue;
    std::string expected;
    std::vector<ino_t> passed;
    for (int i = 0; i < 60; ++i) {
        OwnedDescriptors passing;
        const int count = i % 20 == 7 ? 240 : i % 7 == 3 ? 1 : 0;
        for (int j = 0; j < count; ++j) {
            const auto [one, other] = test::socket_pair();
            REQUIRE(passing.add_copy(one.get()));
            passed.push_back(inode_of(one.get()));
        }
        const std::string line =
            std::to_string(i) + std::string(static_cast<std::size_t>(i * i * 10), 'x') + "\n";
        expected += line;
        queue.add(line, std::move(passing));
    }
    CHECK(queue.size() == expected.size());

    std::string got;
    std::vector<ino_t> received;
    std::size_t written = 0;
    int short_writes = 0;
    std::vector<char> room(100'000);
    for (bool more = true; more;) {
        const net::IoStatus status = queue.write_to(socket, written);
        REQUIRE((status == net::IoStatus::ok || status == net::IoStatus::would_block));
        more = status == net::IoStatus::would_block;
        short_writes += more ? 1 : 0;
        std::vector<int> descriptors;
        for (;;) {
            const net::IoResult result = net::receive_with_descriptors(theirs.get(), room, descriptors);
            if (result.status != net::IoStatus::ok) break;
            got.append(room.data(), result.size);
        }
        for (const int descriptor : descriptors) {
            received.push_back(inode_of(descriptor));
            ::close(descriptor);
        }
    }
    CHECK(short_writes > 10);
    CHECK(queue.empty());
    CHECK(written == expected.size());
    CHECK((got == expected));
    CHECK((received == passed));
}

TEST_CASE("what is cleared is closed, and counting goes on") {
    net::Loop loop;
    auto [ours, theirs] = test::socket_pair();
    test::RecordingWatcher watcher;
    net::Socket socket;
    REQUIRE(socket.adopt(loop, ours.release(), watcher));
    auto [kept, copied] = test::socket_pair();
    const auto passing = [&] {
        OwnedDescriptors descriptors;
        REQUIRE(descriptors.add_copy(copied.get()));
        return descriptors;
    };
    OutputQueue queue;
    queue.add("lost\n", passing());
    queue.clear();
    CHECK(queue.empty());
    queue.add("kept\n", passing());
    copied.close();
    std::size_t written = 0;
    REQUIRE(queue.write_to(socket, written) == net::IoStatus::ok);
    std::vector<char> room(100);
    std::vector<int> descriptors;
    CHECK(net::receive_with_descriptors(theirs.get(), room, descriptors).size == 5);
    REQUIRE(descriptors.size() == 1);
    ::close(descriptors[0]);
    char byte = 0;
    CHECK(::recv(kept.get(), &byte, 1, MSG_DONTWAIT) == 0);
}

TEST_CASE("what cannot be copied is said") {
    OwnedDescriptors descriptors;
    CHECK_FALSE(descriptors.add_copy(-1));
    CHECK(descriptors.empty());
}

}  // namespace
}  // namespace palier::control
