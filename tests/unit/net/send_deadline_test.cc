#include "palier/net/send_deadline.h"

#include "catch.h"
#include "loop_fixture.h"
#include "palier/net/socket.h"

#include <array>
#include <string>

using namespace palier::net;
using namespace palier::test;

namespace {

constexpr std::uint64_t kBegin = 1'000'000;  // milliseconds
constexpr std::uint64_t kPatience = 8'000;

/// A socket whose peer holds it back: a Unix pair, where what was read counts as acknowledged.
struct HeldBack {
    HeldBack() {
        auto [mine, theirs] = socket_pair();
        REQUIRE(socket.adopt(loop, mine.release(), watcher));
        peer = std::move(theirs);
        const std::string block(4096, 'x');
        while (socket.write(block).status == IoStatus::ok) {
        }
    }
    void peer_takes_some() const {
        std::array<char, 4096> data;
        REQUIRE(::recv(peer.get(), data.data(), data.size(), 0) == 4096);
    }

    /// Looks whenever it is asked to, until `end` or it is over; when that was.
    std::uint64_t look_until(std::uint64_t end) {
        std::uint64_t now = next;
        for (; next != SendDeadline::kOver && next <= end; ++looks) {
            now = next;
            next = deadline.look(socket, now);
            if (next != SendDeadline::kOver) REQUIRE(next > now);
        }
        return now;
    }

    Loop loop;
    RecordingWatcher watcher;
    Socket socket;
    Descriptor peer;
    SendDeadline deadline;
    std::uint64_t next = deadline.begin(kBegin, kPatience);
    int looks = 0;
};

}  // namespace

TEST_CASE("a peer that takes nothing has its patience and no more") {
    HeldBack h;
    CHECK(h.look_until(kBegin + 10 * kPatience) == kBegin + kPatience);
    CHECK(h.next == SendDeadline::kOver);
    CHECK(h.looks <= 8);
}

TEST_CASE("what was taken before the first look does not put the end off") {
    HeldBack h;
    h.peer_takes_some();
    CHECK(h.look_until(kBegin + 10 * kPatience) == kBegin + kPatience);
}

TEST_CASE("whatever is taken later does, from the look that sees it") {
    HeldBack h;
    h.look_until(kBegin + kPatience / 2);
    h.peer_takes_some();
    const std::uint64_t seen = h.next;
    CHECK(h.look_until(kBegin + 10 * kPatience) == seen + kPatience);
}

TEST_CASE("a peer that takes a little now and then is never given up") {
    HeldBack h;
    for (std::uint64_t now = kBegin; now < kBegin + 6 * kPatience; now += kPatience * 3 / 4) {
        h.look_until(now);
        REQUIRE(h.next != SendDeadline::kOver);
        h.peer_takes_some();
        REQUIRE(h.socket.unsent() > 0);
    }
}

TEST_CASE("beginning anew forgets what was seen") {
    HeldBack h;
    h.look_until(kBegin + kPatience / 2);
    h.peer_takes_some();
    h.next = h.deadline.begin(kBegin + kPatience / 2, kPatience);
    CHECK(h.look_until(kBegin + 10 * kPatience) == kBegin + kPatience / 2 + kPatience);
}

TEST_CASE("a look that comes late is the last one if nothing was seen") {
    HeldBack h;
    CHECK(h.deadline.look(h.socket, kBegin + kPatience) == SendDeadline::kOver);
}

TEST_CASE("the shortest and the longest patience") {
    HeldBack h;
    CHECK(h.deadline.begin(kBegin, 1) == kBegin + 1);
    CHECK(h.deadline.look(h.socket, kBegin + 1) == SendDeadline::kOver);
    const std::uint64_t first = h.deadline.begin(kBegin, std::uint64_t{1} << 40);
    CHECK(first > kBegin);
    CHECK(h.deadline.look(h.socket, first) > first);
}
