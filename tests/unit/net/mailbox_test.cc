#include "palier/net/mailbox.h"

#include "catch.h"
#include "loop_fixture.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

using namespace palier::net;
using namespace palier::test;

TEST_CASE("messages run in order, on the loop's thread, and own what they carry") {
    Loop loop;
    Mailbox mailbox(loop);
    std::vector<int> seen;
    std::thread::id ran_on;
    std::thread poster([&] {
        for (int i = 0; i < 10; ++i) {
            mailbox.post([&, value = std::make_unique<int>(i)] {
                seen.push_back(*value);
                ran_on = std::this_thread::get_id();
            });
        }
    });
    REQUIRE(run_until(loop, [&] { return seen.size() == 10; }));
    poster.join();
    CHECK(seen == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    CHECK(ran_on == std::this_thread::get_id());
}

TEST_CASE("a message may post another, which runs later") {
    Loop loop;
    Mailbox mailbox(loop);
    int depth = 0;
    bool inside = false;
    const std::function<void()> step = [&] {
        CHECK_FALSE(inside);
        inside = true;
        if (++depth < 5) mailbox.post([&] { step(); });
        inside = false;
    };
    mailbox.post([&] { step(); });
    REQUIRE(run_until(loop, [&] { return depth == 5; }));
}

TEST_CASE("no message of many threads is lost, and each thread's keep their order") {
    constexpr std::size_t kThreads = 8;
    constexpr int kEach = 5'000;
    Loop loop;
    Mailbox mailbox(loop);
    std::array<int, kThreads> next{};
    std::size_t total = 0;
    std::size_t out_of_order = 0;
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < kEach; ++i) {
                mailbox.post([&, thread, i] {
                    if (next[thread]++ != i) ++out_of_order;
                    ++total;
                });
            }
        });
    }
    CHECK(run_until(loop, [&] { return total == kThreads * kEach; }));
    for (std::thread& thread : threads)
        thread.join();
    CHECK(total == kThreads * kEach);
    CHECK(out_of_order == 0);
}

TEST_CASE("two loops on two threads answer each other") {
    Loop here;
    Mailbox inbox(here);
    std::atomic<Mailbox*> there{nullptr};
    int answers = 0;
    std::thread other([&] {
        Loop loop;
        Mailbox mailbox(loop);
        there.store(&mailbox);
        bool stopped = false;
        mailbox.post([&] {
            for (int i = 0; i < 1'000; ++i)
                inbox.post([&] { ++answers; });
        });
        // The last thing that the other side asks is the end.
        inbox.post([&] { there.load()->post([&] { stopped = true; }); });
        static_cast<void>(run_until(loop, [&] { return stopped; }));
    });
    CHECK(run_until(here, [&] { return answers == 1'000; }));
    other.join();
}

TEST_CASE("after close, messages are dropped: those that wait and those that come") {
    Loop loop;
    Mailbox mailbox(loop);
    int runs = 0;
    auto kept = std::make_shared<int>(0);
    mailbox.post([&runs, kept] { ++runs; });
    mailbox.close();
    mailbox.post([&runs, kept] { ++runs; });
    CHECK(kept.use_count() == 1);
    mailbox.close();
    for (int turn = 0; turn < 3; ++turn)
        loop.run_once(0);
    CHECK(runs == 0);
}

TEST_CASE("a message may close its mailbox, or destroy it") {
    Loop loop;
    std::optional<Mailbox> mailbox(std::in_place, loop);
    int runs = 0;
    mailbox->post([&] {
        ++runs;
        mailbox.reset();
    });
    REQUIRE(run_until(loop, [&] { return runs == 1; }));
    CHECK_FALSE(mailbox.has_value());
    loop.run_once(0);
}

TEST_CASE("closing while others post loses messages but nothing else") {
    for (int round = 0; round < 20; ++round) {
        Loop loop;
        auto mailbox = std::make_unique<Mailbox>(loop);
        std::atomic<bool> started{false};
        int runs = 0;
        std::thread poster([&] {
            for (int i = 0; i < 2'000; ++i) {
                mailbox->post([&] { ++runs; });
                started.store(true);
            }
        });
        CHECK(run_until(loop, [&] { return started.load(); }));
        mailbox->close();
        poster.join();
        const int at_close = runs;
        loop.run_once(0);
        CHECK(runs == at_close);
        CHECK(runs <= 2'000);
    }
}
