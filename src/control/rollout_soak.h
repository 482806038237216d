// The soak's rule: whether a server that has been updated does worse than the others do in the same time.
//
//   at least 20 exchanges ended on it  its share of failures is more than 5 points above the others'; where fewer than
//                                      20 ended on the others, above none
//   at least 20 answers on each side   its mean time to a response head is over 3 times the others', and 100 ms more
//
// With less traffic only its standing counts: a server that probes take down or live traffic ejects fails at once.
//
// Thread: any; pure.
#pragma once

#include "palier/pool/server_state.h"

#include <cstdint>
#include <string>

namespace palier::control {

/// What happened since the soak began.
struct SoakCounts {
    std::uint64_t ended = 0;  // exchanges, or failures where these are more
    std::uint64_t failures = 0;
    std::uint64_t answers = 0;
    std::uint64_t response_us = 0;  // of all answers

    void add(const pool::ServerState::Totals& from, const pool::ServerState::Totals& to);
};

/// In words for people; "": it does well, as far as one can tell.
[[nodiscard]] std::string soak_fault(const SoakCounts& server, const SoakCounts& others);

}  // namespace palier::control
