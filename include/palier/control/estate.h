// Estate: what one palier hands to the next that takes its place: its listening sockets and what it knows that no file
// says. Two versions of palier may meet: keys that are not known are ignored, keys that are missing mean what they did
// before there was such a key, and kProtocol is for the day when that is not enough.
// Thread: a value, any.
#pragma once

#include "palier/base/result.h"
#include "palier/pool/server_state.h"
#include "palier/proxy/snapshot.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace palier::control {

struct Estate {
    static constexpr int kProtocol = 1;

    /// The sockets of one address; Listening::Row has more on the key.
    struct Sockets {
        std::string key;
        std::vector<int> descriptors;
    };
    /// Where a server stands, so that it need not be found out again. Times are of the machine's monotonic clock.
    struct Standing {
        pool::Health health = pool::Health::unprobed;
        std::uint64_t since_ms = 0;
        std::uint64_t slow_start_from_ms = 0;

        friend bool operator==(const Standing&, const Standing&) = default;
    };

    std::string version;  // of the palier whose it was
    std::uint64_t generation = 0;
    std::string ticket_keys;                  // as tls::TicketKeys has them; secret
    std::string overlay;                      // as Overlay has it
    std::map<std::string, Standing> servers;  // by ServerState::name
    std::set<std::string> held_by_passive;    // pools, failback = "manual"

    // Descriptors. -1: none.
    std::vector<Sockets> listeners;
    std::string admin_address;
    int admin = -1;
    std::vector<int> predecessors;  // channels to paliers before, which have clients yet; see last_clients.h
    int forwarder = -1;             // leads to the first process of a container; see app/forwarder.h

    /// As descriptors() of the other side will be put back: without them, in one piece of bytes.
    [[nodiscard]] std::string encoded() const;
    /// In the order in which decoded() wants them.
    [[nodiscard]] std::vector<int> descriptors() const;
    /// Fails with a sentence where this is no estate, or its descriptors are others than it says; they stay the caller's
    /// then.
    [[nodiscard]] static base::Result<Estate> decoded(std::string_view bytes,
                                                      std::span<const int> descriptors);
};

/// Fills in where servers and pools stand.
void note_standing(const proxy::Snapshot& snapshot, Estate& estate);
/// Has the servers and pools of `snapshot`, which nobody watches yet, go on from there; what is used is taken out of the
/// estate.
void restore_standing(Estate& estate, const proxy::Snapshot& snapshot);

}  // namespace palier::control
