#include "palier/net/loop.h"

#include "catch.h"
#include "loop_fixture.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

using namespace palier::net;
using namespace palier::test;
using palier::base::Timer;

namespace {

class CallingTask final : public Task {
  public:
    explicit CallingTask(std::function<void()> call) : call_(std::move(call)) {}
    void on_again() override { call_(); }

  private:
    std::function<void()> call_;
};

class CallingObserver final : public TurnObserver {
  public:
    explicit CallingObserver(std::function<void()> call) : call_(std::move(call)) {}
    void on_turn_end() override { call_(); }

  private:
    std::function<void()> call_;
};

/// Says when it is deleted.
class Mortal final : public Deferred {
  public:
    explicit Mortal(std::function<void()> last_words) : last_words_(std::move(last_words)) {}
    ~Mortal() override { last_words_(); }

  private:
    std::function<void()> last_words_;
};

struct CallingTimer {
    explicit CallingTimer(std::function<void()> on_fire) : call(std::move(on_fire)) {}
    std::function<void()> call;
    Timer timer = Timer([](void* self) { static_cast<CallingTimer*>(self)->call(); }, this);
};

}  // namespace

TEST_CASE("a task runs once, in the next turn, however often it was asked for") {
    Loop loop;
    int runs = 0;
    CallingTask task([&] { ++runs; });
    loop.again(task);
    loop.again(task);
    CHECK(runs == 0);
    loop.run_once(0);
    CHECK(runs == 1);
    loop.run_once(0);
    CHECK(runs == 1);
}

TEST_CASE("a task that asks again waits for another turn, and nothing sleeps while it does") {
    Loop loop;
    loop.run_once(0);
    int runs = 0;
    CallingTask task([&] {
        if (++runs < 5) loop.again(task);
    });
    loop.again(task);
    const std::uint64_t began = palier::base::monotonic_ms();
    for (int turn = 1; turn <= 5; ++turn) {
        loop.run_once(60'000);
        CHECK(runs == turn);
    }
    CHECK(palier::base::monotonic_ms() - began < 30'000);
}

TEST_CASE("tasks run in the order in which they were asked for") {
    Loop loop;
    std::string order;
    CallingTask a([&] { order += 'a'; });
    CallingTask b([&] { order += 'b'; });
    CallingTask c([&] { order += 'c'; });
    loop.again(b);
    loop.again(a);
    loop.again(c);
    loop.run_once(0);
    CHECK(order == "bac");
}

TEST_CASE("a task that was destroyed does not run, nor does one that another one destroys") {
    Loop loop;
    bool ran = false;
    std::optional<CallingTask> later;
    CallingTask first([&] { later.reset(); });
    loop.again(first);
    later.emplace([&] { ran = true; });
    loop.again(*later);
    {
        CallingTask gone([&] { ran = true; });
        loop.again(gone);
    }
    loop.run_once(0);
    CHECK_FALSE(later.has_value());
    CHECK_FALSE(ran);
}

TEST_CASE("what is handed over for deletion dies when the turn ends, after its observers") {
    Loop loop;
    std::string order;
    CallingObserver observer([&] { order += " turn end,"; });
    loop.observe_turns(observer);
    CallingTask task([&] {
        loop.defer_delete(std::make_unique<Mortal>([&] {
            order += " deleted";
            loop.defer_delete(std::make_unique<Mortal>([&] { order += ", and what it left"; }));
        }));
        order += "task,";
    });
    loop.again(task);
    loop.run_once(0);
    CHECK(order == "task, turn end, deleted, and what it left");
}

TEST_CASE("what is left for deletion dies with the loop") {
    bool deleted = false;
    {
        Loop loop;
        loop.defer_delete(std::make_unique<Mortal>([&] { deleted = true; }));
    }
    CHECK(deleted);
}

TEST_CASE("an event may remove a watcher that has an event in the same turn") {
    class Rival final : public Deferred, public Watcher {
      public:
        Rival(Loop& loop, int mine, std::vector<Rival*>& alive) : loop_(loop), mine_(mine), alive_(alive) {}
        void on_events(std::uint32_t) override {
            if (gone_) return;
            ++calls;
            while (alive_.size() > 1)
                (alive_.front() == this ? alive_.back() : alive_.front())->leave();
        }
        void leave() {
            gone_ = true;
            std::erase(alive_, this);
            loop_.unwatch(mine_);
            loop_.defer_delete(std::unique_ptr<Rival>(this));
        }
        int calls = 0;

      private:
        Loop& loop_;
        int mine_;
        std::vector<Rival*>& alive_;
        bool gone_ = false;
    };
    Loop loop;
    auto [left, left_peer] = socket_pair();
    auto [right, right_peer] = socket_pair();
    std::vector<Rival*> alive;
    for (const int mine : {left.get(), right.get()}) {
        alive.push_back(new Rival(loop, mine, alive));
        REQUIRE(loop.watch(mine, *alive.back()));
    }
    left_peer.send("x");
    right_peer.send("x");
    loop.run_once(1000);
    REQUIRE(alive.size() == 1);
    CHECK(alive.front()->calls == 1);
    left_peer.send("y");
    right_peer.send("y");
    loop.run_once(1000);
    CHECK(alive.front()->calls == 2);
    alive.front()->leave();
}

TEST_CASE("an edge-triggered watcher hears once of what comes, and of the end") {
    Loop loop;
    auto [mine, peer] = socket_pair();
    RecordingWatcher watcher;
    REQUIRE(loop.watch(mine.get(), watcher));
    REQUIRE(run_until(loop, [&] { return watcher.all != 0; }));
    CHECK(watcher.all == kWritable);
    watcher.seen.clear();
    watcher.all = 0;

    peer.send("bytes");
    REQUIRE(run_until(loop, [&] { return watcher.all != 0; }));
    CHECK((watcher.all & kReadable) != 0);
    CHECK((watcher.all & kHangup) == 0);
    const std::size_t heard = watcher.seen.size();
    for (int turn = 0; turn < 3; ++turn)
        loop.run_once(0);
    CHECK(watcher.seen.size() == heard);

    peer.close();
    REQUIRE(run_until(loop, [&] { return (watcher.all & kHangup) != 0; }));
    CHECK((watcher.seen.back() & kReadable) != 0);
}

TEST_CASE("a level-triggered watcher hears until it is silenced") {
    Loop loop;
    auto [mine, peer] = socket_pair();
    RecordingWatcher watcher;
    REQUIRE(loop.watch_level(mine.get(), watcher));
    loop.run_once(0);
    CHECK(watcher.seen.empty());
    peer.send("bytes");
    for (int turn = 0; turn < 3; ++turn)
        loop.run_once(1000);
    CHECK(watcher.seen.size() == 3);
    loop.unwatch(mine.get());
    loop.run_once(0);
    CHECK(watcher.seen.size() == 3);
}

TEST_CASE("a level-triggered watch can change what it waits for") {
    Loop loop;
    auto [mine, peer] = socket_pair();
    RecordingWatcher watcher;
    REQUIRE(loop.watch_level(mine.get(), watcher, true, false));
    loop.run_once(0);
    CHECK(watcher.seen.empty());
    REQUIRE(loop.watch_level(mine.get(), watcher, false, true));
    loop.run_once(1000);
    CHECK(watcher.all == kWritable);
    loop.unwatch(mine.get());
}

TEST_CASE("an event of a descriptor that is closed here reaches nobody, nor the next one with its number") {
    Loop loop;
    RecordingWatcher before;
    RecordingWatcher after;
    auto [mine, peer] = socket_pair();
    const int number = mine.get();
    REQUIRE(loop.watch(number, before));
    loop.run_once(0);
    before.all = 0;
    // As a child process does that has not run its program yet.
    const Descriptor childs(::fcntl(number, F_DUPFD_CLOEXEC, 0));
    REQUIRE(childs.get() >= 0);
    loop.forget(number);
    auto [next, next_peer] = socket_pair();
    REQUIRE(::dup3(next.get(), mine.release(), O_CLOEXEC) == number);
    const Descriptor reused(number);
    REQUIRE(loop.watch(number, after));
    loop.run_once(0);
    after.all = 0;

    peer.send("too late");
    REQUIRE(childs.receive() == "too late");
    loop.run_once(0);
    CHECK(before.all == 0);
    CHECK(after.all == 0);
    next_peer.send("in time");
    loop.run_once(1000);
    CHECK((after.all & kReadable) != 0);
    CHECK(before.all == 0);
    loop.unwatch(number);
}

TEST_CASE("events go to the last watcher that a descriptor was given to") {
    Loop loop;
    RecordingWatcher first;
    RecordingWatcher second;
    auto [mine, peer] = socket_pair();
    REQUIRE(loop.watch(mine.get(), first));
    loop.run_once(0);
    first.all = 0;
    loop.rewatch(mine.get(), second);
    peer.send("x");
    loop.run_once(1000);
    CHECK(first.all == 0);
    CHECK((second.all & kReadable) != 0);
    loop.unwatch(mine.get());
}

TEST_CASE("watching what is no descriptor fails") {
    Loop loop;
    RecordingWatcher watcher;
    CHECK_FALSE(loop.watch(-1, watcher));
    CHECK(errno == EBADF);
}

TEST_CASE("a turn waits no longer than the next timer, and the timer is never early") {
    Loop loop;
    loop.run_once(0);
    std::uint64_t fired_at = 0;
    CallingTimer timer([&] { fired_at = palier::base::monotonic_ms(); });
    const std::uint64_t deadline = palier::base::monotonic_ms() + 40;
    loop.timers().arm(timer.timer, deadline);
    REQUIRE(run_until(loop, [&] { return fired_at != 0; }));
    CHECK(fired_at >= deadline);
    CHECK(fired_at < deadline + 5'000);
}

TEST_CASE("time stands still within a turn") {
    Loop loop;
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    CallingTask task([&] {
        first = loop.now_us();
        const std::uint64_t until = palier::base::monotonic_us() + 2'000;
        while (palier::base::monotonic_us() < until) {
        }
        second = loop.now_us();
    });
    loop.again(task);
    loop.run_once(0);
    CHECK(first != 0);
    CHECK(first == second);
    CHECK(loop.now_ms() == loop.now_us() / 1000);
    loop.run_once(0);
    CHECK(loop.now_us() >= first + 2'000);
}

TEST_CASE("run goes on until it is told to stop") {
    Loop loop;
    int turns = 0;
    CallingTask task([&] {
        if (++turns == 3) {
            loop.stop();
        } else {
            loop.again(task);
        }
    });
    loop.again(task);
    loop.run();
    CHECK(turns == 3);
}

TEST_CASE("loops of several threads do not know of each other") {
    struct Runner {
        int turns = 0;
        Loop loop;
        CallingTask task = CallingTask([this] {
            if (++turns == 1000) {
                loop.stop();
            } else {
                loop.again(task);
            }
        });
    };
    // Made and unmade by one thread, as workers are: ThreadSanitizer does not see libuv close its
    // descriptors.
    std::array<Runner, 4> runners;
    std::vector<std::thread> threads;
    for (Runner& runner : runners) {
        threads.emplace_back([&runner] {
            runner.loop.again(runner.task);
            runner.loop.run();
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    for (const Runner& runner : runners)
        CHECK(runner.turns == 1000);
}
