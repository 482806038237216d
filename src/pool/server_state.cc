#include "palier/pool/server_state.h"

namespace palier::pool {

std::uint32_t ServerState::in_flight() const {
    std::uint32_t sum = 0;
    for (unsigned worker = 0; worker < workers_; ++worker) {
        sum += counters[worker].in_flight.load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace palier::pool
