#include "palier/control/take_over.h"

#include "catch.h"
#include "control_fixture.h"
#include "palier/net/listener.h"

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include <sys/un.h>

using namespace palier::control;
using namespace palier::test;
using palier::base::IpAddress;
using palier::base::SocketAddress;
using palier::config::Folder;
namespace net = palier::net;

namespace {

int listening_socket() {
    const auto opened = net::listen_on(SocketAddress(*IpAddress::parse("127.0.0.1"), 0), true);
    REQUIRE(opened);
    return *opened;
}

/// The palier that runs, on the test's thread. The one that takes over runs on another, as if it were another process.
struct Old {
    explicit Old(std::size_t sockets = 3) {
        for (std::size_t i = 0; i < sockets; ++i)
            listening.emplace_back(listening_socket());
        for (const Descriptor& descriptor : listening)
            estate.listeners.push_back({std::to_string(estate.listeners.size()), {descriptor.get()}});
        estate.version = "1.0.0";
        estate.overlay = std::string(3 << 20, 'x');  // far more than a socket holds
        hand_over.emplace(
            loop, commands, "1.0.0",
            HandOver::Hooks{.obstacle = [this] { return obstacle; },
                            .estate = [this] { return estate; },
                            .given_up = [this](const auto&, auto why) { steps.emplace_back(why); },
                            .announce = [this](const auto&) { steps.emplace_back("announced"); },
                            .leave = [this](const auto&) { steps.emplace_back("leaves"); },
                            .left =
                                [this](int channel) {
                                    steps.emplace_back(channel >= 0 ? "left" : "left without a channel");
                                    if (channel >= 0) ::close(channel);
                                }});
        commands.add(hand_over->command());
        commands.add({.name = "change",
                      .usage = "change",
                      .about = "",
                      .options = {},
                      .changes = true,
                      .run = [](const Request&, const std::shared_ptr<Reply>& reply) { reply->done(); }});
        socket.emplace(loop, commands);
        REQUIRE(socket->listen(path()));
    }

    [[nodiscard]] std::string path() const { return folder.path("control.sock"); }

    /// Runs `next` as the one that takes over, until it has ended and this one has done its part. It checks nothing:
    /// Catch2 knows one thread only.
    void during(const std::function<void()>& next) {
        std::atomic<bool> ended{false};
        std::thread thread([&] {
            next();
            ended.store(true);
        });
        CHECK(run_until(loop, [&] { return ended.load(); }));
        thread.join();
        CHECK(run_until(loop, [&] { return !hand_over->under_way(); }));
        for (int turn = 0; turn < 3; ++turn)
            loop.run_once(0);
    }
    /// What the control socket says to a line.
    [[nodiscard]] nlohmann::json answer_to(std::string_view line) {
        ControlClient client(path());
        client.send(line);
        CHECK(run_until(loop, [&] {
            client.receive();
            return !client.lines().empty();
        }));
        return client.lines().front();
    }

    Folder folder;
    net::Loop loop;
    CommandTable commands;
    std::vector<Descriptor> listening;
    Estate estate;
    std::string obstacle;
    std::vector<std::string> steps;
    std::optional<HandOver> hand_over;
    std::optional<ControlSocket> socket;
};

/// Fails the test, from whatever thread, when there is nothing to take over.
std::optional<TakeOver> taken_from(const std::string& path) {
    auto taken = TakeOver::from(path, "2.0.0");
    if (!taken || !*taken) return std::nullopt;
    return std::move(*taken);
}

}  // namespace

TEST_CASE("a palier takes over: everything arrives, and the old one leaves in its steps") {
    Old old(450);  // more than pass at once
    std::size_t sockets = 0;
    bool leaving = false;
    old.during([&] {
        auto from = taken_from(old.path());
        if (!from) return;
        sockets = from->estate().listeners.size();
        if (from->estate().overlay != old.estate.overlay) return;
        leaving = from->ready().value() == TakeOver::Outcome::leaving;
        ::close(from->serving());
    });
    CHECK(sockets == 450);
    CHECK(leaving);
    CHECK(old.steps == std::vector<std::string>{"announced", "leaves", "left"});
    CHECK(old.hand_over->done());
    CHECK(old.hand_over->successor().version == "2.0.0");
    CHECK(old.hand_over->successor().pid == ::getpid());
    CHECK(old.answer_to("take-over protocol=1 version=3\n").at("error").get<std::string>().find("serves") !=
          std::string::npos);
    CHECK_FALSE(old.answer_to("change\n").at("ok").get<bool>());
}

TEST_CASE("one that ends before it is ready is forgotten, with what it was given") {
    Old old;
    bool taken = false;
    old.during([&] { taken = taken_from(old.path()).has_value(); });
    CHECK(taken);
    CHECK(old.steps == std::vector<std::string>{"it ended before it was ready"});
    CHECK_FALSE(old.hand_over->under_way());
    CHECK(old.answer_to("change\n").at("ok").get<bool>());
    // Nobody else holds the sockets any more: once closed here, they are gone.
    const SocketAddress address = net::bound_address(old.listening.front().get());
    old.listening.clear();
    CHECK(net::check_free(address));
    // And another may try.
    old.estate.listeners.clear();
    bool leaving = false;
    old.during([&] {
        if (auto from = taken_from(old.path())) leaving = from->ready().value() == TakeOver::Outcome::leaving;
    });
    CHECK(leaving);
    CHECK(old.steps.back() == "left without a channel");  // it died when it was to serve
}

TEST_CASE("one that cannot says why") {
    Old old;
    old.during([&] {
        if (auto from = taken_from(old.path())) from->failed("its configuration has no listener");
    });
    CHECK(old.steps == std::vector<std::string>{"its configuration has no listener"});
}

TEST_CASE("one that is not ready in time is refused when it is") {
    Old old;
    std::string why;
    std::atomic<bool> taken{false};
    std::atomic<bool> late{false};
    std::thread next([&] {
        auto from = taken_from(old.path());
        taken.store(true);
        while (from && !late.load())
            std::this_thread::yield();
        const auto outcome = from->ready();
        why = outcome ? "it may" : outcome.error().message;
    });
    CHECK(run_until(old.loop, [&] { return taken.load(); }));
    CHECK(old.hand_over->under_way());
    CHECK(old.answer_to("change\n").at("error").get<std::string>().find("upgrade is under way") !=
          std::string::npos);
    CHECK(
        old.answer_to("take-over protocol=1 version=3\n").at("error").get<std::string>().find("under way") !=
        std::string::npos);
    old.hand_over->expect_within(20);
    CHECK(run_until(old.loop, [&] { return !old.hand_over->under_way(); }));
    late.store(true);
    next.join();
    CHECK(why == "the palier that runs serves on: it was not ready in time");
    CHECK(old.steps == std::vector<std::string>{"it was not ready in time"});
    CHECK(old.answer_to("change\n").at("ok").get<bool>());
}

TEST_CASE("an old one that dies while the new one prepares leaves it the sockets") {
    std::optional<Old> old(std::in_place);
    std::optional<TakeOver> from;
    std::atomic<bool> taken{false};
    std::thread next([&] {
        if (auto given = taken_from(old->path())) from.emplace(std::move(*given));
        taken.store(true);
    });
    CHECK(run_until(old->loop, [&] { return taken.load(); }));
    next.join();
    old.reset();  // without a word
    REQUIRE(from);
    const auto outcome = from->ready();
    REQUIRE(outcome);
    CHECK(*outcome == TakeOver::Outcome::gone);
    CHECK(from->estate().listeners.size() == 3);
}

TEST_CASE("what stands in the way, and another protocol, are refused in words") {
    Old old;
    std::vector<std::string> errors;
    const auto ask = [&] {
        const auto refused = TakeOver::from(old.path(), "2.0.0");
        errors.push_back(refused ? "it may" : refused.error().message);
    };
    old.obstacle = "a roll-out is under way";
    old.during(ask);
    CHECK(errors == std::vector<std::string>{"the palier that runs refuses: a roll-out is under way"});
    CHECK(old.answer_to("take-over protocol=99 version=3\n").at("error").get<std::string>() ==
          "palier 1.0.0 hands over by protocol 1, and \"99\" was asked for: it must be stopped first");
    CHECK(old.steps.empty());
    CHECK(old.answer_to("change\n").at("ok").get<bool>());
}

TEST_CASE("where nobody answers, there is nothing to take over") {
    const Folder folder;
    const auto missing = TakeOver::from(folder.path("none.sock"), "2.0.0");
    REQUIRE(missing);
    CHECK_FALSE(*missing);
    {
        // What a palier that was killed leaves behind.
        Old old;
        std::filesystem::create_hard_link(old.path(), folder.path("stale.sock"));
    }
    const auto stale = TakeOver::from(folder.path("stale.sock"), "2.0.0");
    REQUIRE(stale);
    CHECK_FALSE(*stale);
}

namespace {

/// Somebody who answers one client of a Unix socket with `answer`, and `descriptors`, then closes.
void answer_once(const std::string& path, std::string_view answer, const std::vector<int>& descriptors,
                 const std::function<void()>& meanwhile) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    const Descriptor listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    std::thread server([&] {
        const Descriptor client(::accept(listening.get(), nullptr, nullptr));
        static_cast<void>(client.receive());
        static_cast<void>(net::send_with_descriptors(client.get(), answer, descriptors));
        ::unlink(path.c_str());
    });
    meanwhile();
    server.join();
}

}  // namespace

TEST_CASE("answers that are none of a palier's are refused") {
    const Folder folder;
    const std::string path = folder.path("control.sock");
    const Descriptor no_socket(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const auto error_after = [&](std::string_view answer, const std::vector<int>& descriptors) {
        std::string error;
        answer_once(path, answer, descriptors, [&] {
            const auto taken = TakeOver::from(path, "2.0.0");
            error = taken ? *taken ? "taken" : "nobody" : taken.error().message;
        });
        return error;
    };
    CHECK(error_after("{\"done\":true,\"ok\":true}\n", {}) == "the palier that runs handed nothing over");
    CHECK(error_after("{\"done\":true,\"ok\":true}\n", {no_socket.get(), no_socket.get()})
              .starts_with("the palier that runs: what it handed over cannot be read"));
    CHECK(error_after("{\"done\":true,\"ok\":false}\n", {}) ==
          "the palier that runs refuses: no reason given");
    CHECK(error_after("{\"done\":true,\"ok\":false,\"error\":7}\n", {}).starts_with("the palier that runs"));
    // One that goes away in the middle is not there when it is asked again.
    CHECK(error_after("{\"event\":\"take-over\"}\n", {no_socket.get()}) == "nobody");
    CHECK(error_after("no JSON at all\n", {}) == "nobody");
}
