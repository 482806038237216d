#include "control/rollout_soak.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kEnough = 20;
constexpr double kPoints = 5;
constexpr double kTimesSlower = 3;
constexpr double kSlowerByMs = 100;

double failures_per_cent(const SoakCounts& counts) {
    if (counts.ended < kEnough) return 0;
    return 100.0 * static_cast<double>(counts.failures) / static_cast<double>(counts.ended);
}

double mean_ms(const SoakCounts& counts) {
    return static_cast<double>(counts.response_us) / 1000.0 / static_cast<double>(counts.answers);
}

}  // namespace

void SoakCounts::add(const pool::ServerState::Totals& from, const pool::ServerState::Totals& to) {
    const std::uint64_t failed = to.failures - from.failures;
    failures += failed;
    // A failure may be known before its exchange has ended.
    ended += std::max(to.ended - from.ended, failed);
    answers += to.answers - from.answers;
    response_us += to.response_us - from.response_us;
}

std::string soak_fault(const SoakCounts& server, const SoakCounts& others) {
    const double failing = failures_per_cent(server);
    if (failing > failures_per_cent(others) + kPoints) {
        return fmt::format("{:.0f} % of its {} exchanges failed, against {:.0f} % of the others' {}", failing,
                           server.ended, failures_per_cent(others), others.ended);
    }
    if (server.answers < kEnough || others.answers < kEnough) return {};
    const double slow = mean_ms(server);
    const double usual = mean_ms(others);
    if (slow <= usual * kTimesSlower || slow <= usual + kSlowerByMs) return {};
    return fmt::format("it takes {:.0f} ms to answer, the others {:.0f} ms", slow, usual);
}

}  // namespace palier::control
