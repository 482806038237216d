#include "palier/health/judge.h"

#include "catch.h"

#include <string>

using namespace palier;
using namespace palier::health;
using pool::Health;

namespace {

/// The states that results lead to: '+' a success, '-' a failure; in capitals where apply() said that it changed.
std::string states(std::string_view results, const config::HealthConfig& config) {
    Judge judge;
    std::string text;
    for (const char result : results) {
        const bool changed = judge.apply(result == '+', config);
        const char letter = pool::text_of(judge.state()).front();
        text += changed ? static_cast<char>(letter - 'a' + 'A') : letter;
    }
    return text;
}

config::HealthConfig rise_and_fall(std::uint32_t rise, std::uint32_t fall) {
    config::HealthConfig config;
    config.rise = rise;
    config.fall = fall;
    return config;
}

}  // namespace

TEST_CASE("the first result decides alone") {
    const auto config = rise_and_fall(5, 5);
    CHECK(states("+", config) == "U");
    CHECK(states("-", config) == "D");
}

TEST_CASE("fall failures in a row take a server out, rise successes bring it back") {
    const auto config = rise_and_fall(2, 3);
    CHECK(states("+---++", config) == "UFfDRU");
    CHECK(states("+--+--+---", config) == "UFfUFfUFfD");
    CHECK(states("-+-+-++", config) == "DRDRDRU");
    CHECK(states("-----", config) == "Ddddd");
    CHECK(states("+++++", config) == "Uuuuu");
}

TEST_CASE("with rise and fall of one there is nothing in between") {
    const auto config = rise_and_fall(1, 1);
    CHECK(states("+-+-", config) == "UDUD");
}

TEST_CASE("a change that is confirmed leaves nothing counted") {
    const auto config = rise_and_fall(2, 2);
    CHECK(states("+--"
                 "++"
                 "--",
                 config) ==
          "UFD"
          "RU"
          "FD");
}

TEST_CASE("what may be used") {
    config::HealthConfig config;
    CHECK_FALSE(Judge::usable(Health::unknown, config));
    config.start_up = true;
    CHECK(Judge::usable(Health::unknown, config));
    CHECK(Judge::usable(Health::unprobed, config));
    CHECK(Judge::usable(Health::up, config));
    CHECK(Judge::usable(Health::falling, config));
    CHECK_FALSE(Judge::usable(Health::down, config));
    CHECK_FALSE(Judge::usable(Health::rising, config));
}

TEST_CASE("intervals follow the state") {
    auto config = rise_and_fall(2, 2);
    config.interval = config::Duration(5);
    config.fast_interval = config::Duration(1);
    config.down_interval = config::Duration(9);
    Judge judge;
    CHECK(judge.interval(config).count() == 5);
    const auto after = [&](bool well) {
        static_cast<void>(judge.apply(well, config));
        return judge.interval(config).count();
    };
    CHECK(after(true) == 5);
    CHECK(after(false) == 1);
    CHECK(after(false) == 9);
    CHECK(after(true) == 1);
    CHECK(after(true) == 5);
}
