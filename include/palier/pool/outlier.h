// What live traffic says of a server. Failures in a row, or too large a share of its requests, eject it for a
// while; then one request is its trial, whose success brings it back and whose failure ejects it for twice as
// long. How often it was ejected is forgotten once it has been well for as long as it was last out.
// Thread: any worker; all state is in the atomics of ServerState.
#pragma once

#include "palier/pool/pool_snapshot.h"

#include <cstdint>
#include <string_view>

namespace palier::pool {

/// An exchange with `server` went well. `trial`: it was the one request after an ejection.
void report_success(const PoolSnapshot& pool, const Server& server, bool trial, std::uint64_t now_ms);

/// An exchange failed by the server's fault. `reason` is for the log: "connect refused".
void report_failure(const PoolSnapshot& pool, const Server& server, bool trial, std::string_view reason,
                    std::uint64_t now_ms);

/// Ends an ejection, if there is one: a trial succeeded, or a probe did where that is enough.
void end_ejection(const PoolSnapshot& pool, const Server& server, std::string_view reason,
                  std::uint64_t now_ms);

/// A trial ended without a verdict (the client left): another request may take it.
void abandon_trial(const PoolSnapshot& pool, const Server& server);

/// How many servers of a pool of `servers` may be out at once for one to be ejected, itself included:
/// `max_ejected` per cent, rounded down; a pool's only server never is.
[[nodiscard]] std::size_t max_ejections(std::size_t servers, std::uint32_t max_ejected);

}  // namespace palier::pool
