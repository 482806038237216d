#include "palier/pool/server_state.h"

namespace palier::pool {

std::string_view text_of(Health health) {
    switch (health) {
        case Health::unprobed:
            return "unprobed";
        case Health::unknown:
            return "unknown";
        case Health::up:
            return "up";
        case Health::falling:
            return "falling";
        case Health::down:
            return "down";
        case Health::rising:
            return "rising";
    }
    return "";
}

std::uint32_t ServerState::in_flight() const {
    std::uint32_t sum = former_in_flight.load(std::memory_order_relaxed);
    for (unsigned worker = 0; worker < workers_; ++worker) {
        sum += counters[worker].in_flight.load(std::memory_order_relaxed);
    }
    return sum;
}

ServerState::Totals ServerState::totals() const {
    Totals sum;
    sum.tunnels = former_tunnels.load(std::memory_order_relaxed);
    for (unsigned worker = 0; worker < workers_; ++worker) {
        const WorkerCounters& of_worker = counters[worker];
        sum.ended += of_worker.exchanges.load(std::memory_order_relaxed) -
                     of_worker.in_flight.load(std::memory_order_relaxed);
        sum.failures += of_worker.failures.load(std::memory_order_relaxed);
        sum.answers += of_worker.answers.load(std::memory_order_relaxed);
        sum.response_us += of_worker.response_us.load(std::memory_order_relaxed);
        sum.connections += of_worker.connections.load(std::memory_order_relaxed);
        sum.tunnels += of_worker.tunnels.load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace palier::pool
