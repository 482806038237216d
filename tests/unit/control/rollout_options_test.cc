#include "control/rollout_options.h"

#include "catch.h"

using namespace palier;
using namespace palier::control;

namespace {

std::string fault_of(OptionTexts texts) {
    texts.try_emplace("run", "deploy.sh");
    const auto options = parse_rollout_options(texts);
    return options ? "" : options.error().message;
}

}  // namespace

TEST_CASE("a roll-out's options have defaults that are safe") {
    const auto options = parse_rollout_options({{"run", "deploy.sh {server}"}});
    REQUIRE(options);
    CHECK(options->batch == 1);
    CHECK(options->min_available == 1);
    CHECK(options->wait == config::Duration(30'000));
    CHECK(options->timeout == config::Duration(600'000));
    CHECK(options->soak == config::Duration(10'000));
    CHECK_FALSE(options->shell);
    CHECK_FALSE(options->close_tunnels);
    CHECK(options->warm.empty());
}

TEST_CASE("every option is read") {
    const auto options = parse_rollout_options({{"run", "a 'unclosed"},
                                                {"undo", "b"},
                                                {"shell", "true"},
                                                {"batch", "2"},
                                                {"min_available", "0"},
                                                {"wait", "1s"},
                                                {"timeout", "2m"},
                                                {"warm", "/, /search?q=a"},
                                                {"warm_host", "shop.example.com"},
                                                {"warm_timeout", "5s"},
                                                {"soak", "0s"},
                                                {"tunnels", "close"},
                                                {"servers", "front2,front1"},
                                                {"reason", "r"},
                                                {"by", "anna"}});
    REQUIRE(options);
    CHECK(options->shell);
    CHECK(options->batch == 2);
    CHECK(options->min_available == 0);
    CHECK(options->wait == config::Duration(1'000));
    CHECK(options->timeout == config::Duration(120'000));
    CHECK(options->warm == std::vector<std::string>{"/", "/search?q=a"});
    CHECK(options->warm_host == "shop.example.com");
    CHECK(options->warm_timeout == config::Duration(5'000));
    CHECK(options->soak == config::Duration(0));
    CHECK(options->close_tunnels);
    CHECK(options->servers == std::vector<std::string>{"front2", "front1"});
    CHECK(rollout_option_keys().size() == 15);
}

TEST_CASE("what makes no sense is refused before anything is touched") {
    CHECK(fault_of({{"batch", "0"}}) == "batch= must be a number from 1 to 65535");
    CHECK(fault_of({{"batch", "2x"}}) == "batch= must be a number from 1 to 65535");
    CHECK(fault_of({{"min_available", "-1"}}) == "min_available= must be a number from 0 to 65535");
    CHECK(fault_of({{"wait", "30"}}).starts_with("wait= must be a duration such as 30s"));
    CHECK(fault_of({{"wait", "0s"}}) == "wait= must be more than 0");
    CHECK(fault_of({{"shell", "yes"}}) == "shell= must be true or false");
    CHECK(fault_of({{"tunnels", "cut"}}) == "tunnels= must be close or wait");
    CHECK(fault_of({{"warm", "search"}}).starts_with("warm= \"search\" is no path"));
    CHECK(fault_of({{"warm", "/a b"}}).starts_with("warm= \"/a b\" is no path"));
    CHECK(fault_of({{"warm", "/,"}}).starts_with("warm= \"\" is no path"));
    CHECK(fault_of({{"warm_host", ""}}) == "warm_host= must be a host name");
    CHECK(fault_of({{"servers", "a,,b"}}) == "servers= has an empty name");
    CHECK(fault_of({{"servers", "a,a"}}) == "servers= names \"a\" twice");
    CHECK(fault_of({{"run", "a 'b"}}) == "run= a quote is never closed");
    CHECK(fault_of({{"undo", ""}}) == "undo= it names no program");
    CHECK(fault_of({{"undo", "x {sever}"}}).starts_with("undo= there is no {sever}"));
    CHECK(fault_of({{"nonsense", "1"}}) == "nonsense= is unknown");
}
