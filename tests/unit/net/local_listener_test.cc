#include "palier/net/local_listener.h"

#include "catch.h"
#include "net/local_path.h"
#include "net/loop_fixture.h"

#include <filesystem>
#include <fstream>

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace palier::net {
namespace {

using test::Descriptor;

struct Counting final : LocalListener::Acceptor {
    void on_local_accept(int descriptor, const LocalPeer& peer) override {
        accepted.emplace_back(descriptor);
        last = peer;
    }
    void on_accept_exhausted(int /*error*/) override { ++exhausted; }

    std::vector<Descriptor> accepted;
    LocalPeer last;
    int exhausted = 0;
};

struct Place {
    Place() {
        std::string name = (std::filesystem::temp_directory_path() / "palier-test-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder = name;
    }
    ~Place() { std::filesystem::remove_all(folder); }

    [[nodiscard]] std::string file(std::string_view name = "x.sock") const { return folder / name; }
    [[nodiscard]] struct stat status(std::string_view name = "x.sock") const {
        struct stat found {};
        REQUIRE(::lstat(file(name).c_str(), &found) == 0);
        return found;
    }
    [[nodiscard]] bool answers(LocalListener& /*listener*/, Counting& counting,
                               std::string_view name = "x.sock") {
        const auto connected = connect_local(file(name));
        if (!connected) return false;
        const Descriptor client(*connected);
        const std::size_t before = counting.accepted.size();
        return test::run_until(loop, [&] { return counting.accepted.size() > before; });
    }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                                      std::filesystem::directory_iterator()));
    }

    std::filesystem::path folder;
    Loop loop;
};

/// What a process that was killed leaves: a socket on which nobody answers.
void leave_stale(const std::string& path) {
    const auto address = LocalAddress::of(path);
    const Descriptor descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(descriptor.get(), address->get(), address->length()) == 0);
    REQUIRE(::listen(descriptor.get(), 1) == 0);
}

TEST_CASE("a local listener accepts, knows its peers, and removes its file") {
    Place place;
    Counting counting;
    {
        LocalListener listener(place.loop, counting);
        REQUIRE(listener.listen(place.file(), {}));
        CHECK(listener.path() == place.file());
        CHECK(place.answers(listener, counting));
        CHECK(counting.last.uid == ::getuid());
        CHECK(counting.last.pid == ::getpid());
    }
    CHECK(place.files() == 0);
}

TEST_CASE("its file has mode 0660, whatever the umask, and the owner that was asked for") {
    Place place;
    Counting counting;
    for (const mode_t mask : {0U, 0077U}) {
        const mode_t before = ::umask(mask);
        LocalListener listener(place.loop, counting);
        const auto listens = listener.listen(place.file("sub/x.sock"), {});
        ::umask(before);
        REQUIRE(listens);
        CHECK((place.status("sub/x.sock").st_mode & 07777) == 0660);
        CHECK((place.status("sub").st_mode & 07777) == 0755);
        listener.close();
        CHECK(std::filesystem::remove(place.file("sub")));
    }
    LocalListener listener(place.loop, counting);
    const bool root = ::getuid() == 0;
    REQUIRE(listener.listen(place.file(),
                            {.owner = root ? 1234U : ::getuid(), .group = root ? 4321U : ::getgid()}));
    CHECK(place.status().st_uid == (root ? 1234U : ::getuid()));
    CHECK(place.status().st_gid == (root ? 4321U : ::getgid()));
}

TEST_CASE("a stale socket is replaced, one that is answered on is not") {
    Place place;
    Counting counting;
    leave_stale(place.file());
    LocalListener listener(place.loop, counting);
    REQUIRE(listener.listen(place.file(), {}));
    CHECK(place.answers(listener, counting));

    LocalListener second(place.loop, counting);
    const auto refused = second.listen(place.file(), {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "another palier answers on " + place.file());
    CHECK_FALSE(second.listening());
    second.close();
    CHECK(place.answers(listener, counting));
}

TEST_CASE("whoever has a full queue still answers") {
    Place place;
    Counting counting;
    const auto address = LocalAddress::of(place.file());
    const Descriptor busy(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(busy.get(), address->get(), address->length()) == 0);
    REQUIRE(::listen(busy.get(), 0) == 0);
    const Descriptor waiting(*connect_local(place.file()));
    LocalListener listener(place.loop, counting);
    const auto refused = listener.listen(place.file(), {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "another palier answers on " + place.file());
}

TEST_CASE("what is no socket is left alone") {
    Place place;
    Counting counting;
    std::ofstream(place.file()) << "precious";
    LocalListener listener(place.loop, counting);
    const auto refused = listener.listen(place.file(), {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == place.file() + " is there and is no socket; it is left as it is");
    std::filesystem::remove(place.file());
    std::filesystem::create_symlink(place.file("target"), place.file());
    CHECK_FALSE(listener.listen(place.file(), {}));
    std::filesystem::remove(place.file());
    REQUIRE(listener.listen_beside(place.file(), {}));
    std::filesystem::create_directory(place.file());
    CHECK_FALSE(listener.move_into_place());
    listener.close();
    CHECK(place.files() == 1);
}

TEST_CASE("a listener beside another one takes its place, and only the last one removes the file") {
    Place place;
    Counting of_old, of_next;
    LocalListener old(place.loop, of_old), next(place.loop, of_next);
    REQUIRE(old.listen(place.file(), {}));
    REQUIRE(next.listen_beside(place.file(), {}));
    CHECK(next.path() != place.file());
    CHECK(place.files() == 2);
    CHECK(place.answers(old, of_old));

    REQUIRE(next.move_into_place());
    CHECK(next.path() == place.file());
    CHECK(place.files() == 1);
    CHECK((place.status().st_mode & 07777) == 0660);
    CHECK(place.answers(next, of_next));
    old.close();
    CHECK(place.answers(next, of_next));
    next.close();
    CHECK(place.files() == 0);
}

TEST_CASE("one that never came into place leaves nothing") {
    Place place;
    Counting counting;
    {
        LocalListener next(place.loop, counting);
        REQUIRE(next.listen_beside(place.file(), {}));
    }
    CHECK(place.files() == 0);
}

TEST_CASE("paths that are no socket's are refused in words") {
    Place place;
    Counting counting;
    LocalListener listener(place.loop, counting);
    CHECK_FALSE(listener.listen("", {}));
    const auto too_long = listener.listen(place.file(std::string(107, 'x')), {});
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error().message.find("1 to 107 bytes") != std::string::npos);
    const auto nowhere = listener.listen(place.file("a/b/x.sock"), {});
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().message.find("No such file or directory") != std::string::npos);
    CHECK(place.files() == 0);
    CHECK(connect_local(place.file()).error().code == ENOENT);
}

TEST_CASE("whoever holds the folder's lock delays, and does not prevent") {
    Place place;
    Counting counting;
    const Descriptor folder(::open(place.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(::flock(folder.get(), LOCK_EX) == 0);
    LocalListener listener(place.loop, counting);
    CHECK(listener.listen(place.file(), {}));
}

TEST_CASE("drain() accepts who waits, and close() nobody") {
    Place place;
    Counting counting;
    LocalListener listener(place.loop, counting);
    REQUIRE(listener.listen(place.file(), {}));
    const Descriptor one(*connect_local(place.file())), two(*connect_local(place.file()));
    listener.drain();
    CHECK(counting.accepted.size() == 2);
    CHECK_FALSE(listener.listening());
    CHECK(place.files() == 0);
}

TEST_CASE("a peer that sends no more is not one that is gone") {
    auto [ours, theirs] = test::socket_pair();
    CHECK_FALSE(local_peer_gone(ours.get()));
    ::shutdown(theirs.get(), SHUT_WR);
    CHECK_FALSE(local_peer_gone(ours.get()));
    theirs.close();
    CHECK(local_peer_gone(ours.get()));
}

}  // namespace
}  // namespace palier::net
