#include "config/load_fixture.h"

namespace palier::config {
namespace {

const std::string kServer = "[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n";

TEST_CASE("pools and servers are read") {
    const Config config = config_of(R"(node = "srv1"
[[pool]]
name = "web"
balance = "round-robin"
prefer_local = false
failback = "manual"
retries = 10
retry_on = ["502", "timeout"]
min_usable = 2
when_none = "try_all"
on_down = "close"
  [pool.outlier]
  failures = 0
  backoff = "1s"
  max_ejected = 100
  [[pool.server]]
  name = "one"
  address = "10.0.0.1:80"
  weight = 65535
  role = "passive"
  node = "srv1"
  max_connections = 7
  slow_start = "5s"
  slow_start_at_start = true
  [[pool.server]]
  name = "two"
  address = "[2001:db8::1]:80"
  weight = 0
  node = "srv2"
)");
    const PoolConfig& pool = config.pools[0];
    CHECK(pool.name == "web");
    CHECK_FALSE(pool.prefer_local);
    CHECK(pool.failback == Failback::manual);
    CHECK(pool.retries == 10);
    CHECK_FALSE(pool.retry_on.connect);
    CHECK_FALSE(pool.retry_on.reset);
    CHECK(pool.retry_on.timeout);
    CHECK(pool.retry_on.status_502);
    CHECK_FALSE(pool.retry_on.status_503);
    CHECK(pool.min_usable == 2);
    CHECK(pool.when_none == WhenNone::try_all);
    CHECK(pool.on_down == OnDown::close);
    CHECK(pool.outlier.failures == 0);
    CHECK(pool.outlier.backoff == Duration(1'000));
    CHECK(pool.outlier.max_ejected == 100);
    REQUIRE(pool.servers.size() == 2);
    CHECK(pool.servers[0].host == "10.0.0.1");
    CHECK(pool.servers[0].port == 80);
    CHECK(pool.servers[0].weight == 65'535);
    CHECK(pool.servers[0].role == Role::passive);
    CHECK(pool.servers[0].local);
    CHECK(pool.servers[0].max_connections == 7);
    CHECK(pool.servers[0].slow_start == Duration(5'000));
    CHECK(pool.servers[0].slow_start_at_start);
    CHECK(pool.servers[1].host == "2001:db8::1");
    CHECK(pool.servers[1].address() == "[2001:db8::1]:80");
    CHECK_FALSE(pool.servers[1].local);
}

TEST_CASE("what a pool does not say has its default") {
    const PoolConfig pool = config_of("[[pool]]\nname = \"p\"\n" + kServer).pools[0];
    CHECK(pool.prefer_local);
    CHECK(pool.failback == Failback::automatic);
    CHECK(pool.retries == 2);
    CHECK(pool.retry_on.connect);
    CHECK(pool.retry_on.reset);
    CHECK_FALSE(pool.retry_on.timeout);
    CHECK(pool.min_usable == 1);
    CHECK(pool.when_none == WhenNone::refuse);
    CHECK(pool.on_down == OnDown::finish);
    CHECK_FALSE(pool.health);
    CHECK(pool.outlier.failures == 5);
    CHECK(pool.servers[0].weight == 100);
    CHECK(pool.servers[0].role == Role::active);
    CHECK(pool.servers[0].slow_start == Duration(0));
    CHECK_FALSE(pool.servers[0].slow_start_at_start);
}

TEST_CASE("without a node nothing is local") {
    const Config config = config_of("[[pool]]\nname = \"p\"\n" + kServer + "node = \"\"\n");
    CHECK_FALSE(config.pools[0].servers[0].local);
}

TEST_CASE("an empty retry_on retries after nothing") {
    const RetryOn retry_on = config_of("[[pool]]\nname = \"p\"\nretry_on = []\n" + kServer).pools[0].retry_on;
    CHECK_FALSE(retry_on.connect);
    CHECK_FALSE(retry_on.reset);
}

TEST_CASE("required keys of pools and servers") {
    CHECK(mistakes_in("[[pool]]\n  [[pool.server]]\n") ==
          Strings{"t:1:1: \"pool.name\" is missing", "t:2:3: \"pool.server.name\" is missing",
                  "t:2:3: \"pool.server.address\" is missing"});
    CHECK(mistakes_in("[[pool]]\nname = \"empty\"\n") ==
          Strings{"t:1:1: the pool \"empty\" has no [[pool.server]]"});
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\n[pool.server]\nname = \"s\"\n").front() ==
          "t:3:7: \"pool.server\" is a list of tables: write [[pool.server]]");
    CHECK(mistakes_in_all(
              "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n[[route]]\npool = \"p\"\n[pool]\n") ==
          Strings{"t:6:2: \"pool\" is a list of tables: write [[pool]]"});
}

TEST_CASE("names are unique among pools and within a pool") {
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\n" + kServer + kServer + "[[pool]]\nname = \"p\"\n" +
                      kServer) == Strings{"t:7:8: there are two servers \"s\"; the first is at t:4:8",
                                          "t:10:8: there are two pools \"p\"; the first is at t:2:8"});
}

TEST_CASE("a pool of servers without weight is a mistake") {
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\n" + kServer + "weight = 0\n") ==
          Strings{"t:1:1: every server of the pool \"p\" has weight 0, so none would ever be used"});
}

TEST_CASE("values of pools and servers are checked") {
    CHECK(mistakes_in(
              "[[pool]]\nname = \"p\"\nbalance = \"round_robin\"\nretries = 11\nfailback = \"automatic\"\n"
              "prefer_local = 1\nretry_on = [\"conect\", \"500\"]\n" +
              kServer) ==
          Strings{"t:3:11: \"pool.balance\" must be \"round-robin\", not \"round_robin\"; did you mean "
                  "\"round-robin\"?",
                  "t:4:11: \"pool.retries\" must be from 0 to 10, not 11",
                  "t:5:12: \"pool.failback\" must be \"auto\" or \"manual\", not \"automatic\"",
                  "t:6:16: \"pool.prefer_local\" must be true or false, not a number",
                  "t:7:13: \"pool.retry_on\" must hold \"connect\", \"reset\", \"timeout\", \"502\", \"503\" "
                  "or \"504\", "
                  "not \"conect\"; did you mean \"connect\"?",
                  "t:7:23: \"pool.retry_on\" must hold \"connect\", \"reset\", \"timeout\", \"502\", \"503\" "
                  "or \"504\", "
                  "not \"500\"; did you mean \"502\"?"});
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\n" + kServer +
                      "weight = 65536\nrole = \"pasive\"\nmax_connections = -1\n") ==
          Strings{"t:6:10: \"pool.server.weight\" must be from 0 to 65535, not 65536",
                  "t:7:8: \"pool.server.role\" must be \"active\" or \"passive\", not \"pasive\"; did you "
                  "mean \"passive\"?",
                  "t:8:19: \"pool.server.max_connections\" must be from 0 to 100000000, not -1"});
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\n[[pool.server]]\nname = \"s\"\naddress = \"front1\"\n") ==
          Strings{"t:5:11: \"front1\" has no port"});
}

TEST_CASE("values of failover are checked") {
    CHECK(
        mistakes_in("[[pool]]\nname = \"p\"\nmin_usable = 0\nwhen_none = \"try-all\"\non_down = \"finsh\"\n" +
                    kServer) ==
        Strings{"t:3:14: \"pool.min_usable\" must be from 1 to 1000, not 0",
                "t:4:13: \"pool.when_none\" must be \"refuse\" or \"try_all\", not \"try-all\"; did you mean "
                "\"try_all\"?",
                "t:5:11: \"pool.on_down\" must be \"finish\" or \"close\", not \"finsh\"; did you mean "
                "\"finish\"?"});
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\nmin_usable = 1001\n" + kServer) ==
          Strings{"t:3:14: \"pool.min_usable\" must be from 1 to 1000, not 1001"});
}

TEST_CASE("a pool cannot have more usable servers than servers") {
    const std::string one = "[[pool.server]]\nname = \"one\"\naddress = \"10.0.0.1:80\"\n";
    const std::string two = "[[pool.server]]\nname = \"two\"\naddress = \"[::1]:80\"\n";
    const auto pool = [](int min_usable) {
        return "[[pool]]\nname = \"p\"\nmin_usable = " + std::to_string(min_usable) + "\n";
    };
    CHECK(mistakes_in(pool(2) + one) ==
          Strings{"t:3:14: \"pool.min_usable\" is 2, but the pool \"p\" has one server only"});
    CHECK(mistakes_in(pool(3) + one + two) ==
          Strings{"t:3:14: \"pool.min_usable\" is 3, but the pool \"p\" has 2 servers only"});
    CHECK(config_of(pool(2) + one + two).pools[0].min_usable == 2);
    // A name may resolve to any number of servers.
    CHECK(config_of(pool(3) + one + kServer).pools[0].min_usable == 3);
}

TEST_CASE("a slow start when palier starts needs a slow start") {
    const std::string pool = "[[pool]]\nname = \"p\"\n" + kServer;
    const std::string needs =
        ":1: \"pool.server.slow_start_at_start\" needs a \"slow_start\" longer than \"0s\"";
    CHECK(mistakes_in(pool + "slow_start_at_start = true\n") == Strings{"t:6" + needs});
    CHECK(mistakes_in(pool + "slow_start = \"0s\"\nslow_start_at_start = true\n") == Strings{"t:7" + needs});
    CHECK(mistakes_in(pool + "slow_start = \"0s\"\nslow_start_at_start = false\n").empty());
    CHECK(mistakes_in(pool + "slow_stat = \"5s\"\nslow_start_at_start = true\n") ==
          Strings{"t:6:1: unknown key \"pool.server.slow_stat\"; did you mean \"slow_start\"?"});
    CHECK(mistakes_in(pool + "slow_start = \"5\"\nslow_start_at_start = true\n").size() == 1);
    CHECK(mistakes_in(pool + "slow_start = 5\nslow_start_at_start = true\n").size() == 1);
    CHECK(mistakes_in(pool + "slow_start = \"5s\"\nslow_start_at_start = 1\n") ==
          Strings{"t:7:23: \"pool.server.slow_start_at_start\" must be true or false, not a number"});
}

}  // namespace
}  // namespace palier::config
