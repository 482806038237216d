#include "palier/net/signals.h"

#include "catch.h"
#include "loop_fixture.h"

#include <csignal>
#include <thread>

using namespace palier::net;
using namespace palier::test;

TEST_CASE("a signal becomes a call on the loop's thread") {
    Loop loop;
    int first = 0;
    int second = 0;
    std::thread::id ran_on;
    {
        Signals signals(loop);
        signals.on(SIGUSR1, [&] {
            ++first;
            ran_on = std::this_thread::get_id();
        });
        signals.on(SIGUSR2, [&] { ++second; });
        std::thread([] { std::raise(SIGUSR1); }).join();
        REQUIRE(run_until(loop, [&] { return first == 1; }));
        CHECK(ran_on == std::this_thread::get_id());
        CHECK(second == 0);
        std::raise(SIGUSR2);
        REQUIRE(run_until(loop, [&] { return second == 1; }));
        CHECK(first == 1);
    }
    loop.run_once(0);
}
