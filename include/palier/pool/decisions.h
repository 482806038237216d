// Decisions: what operators have decided about pools and servers at run time, as a snapshot takes it in. Where they come
// from and how they are kept is control/overlay.h's matter.
// Thread: values, any.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace palier::pool {

/// Whether a server gets new exchanges, as far as operators are concerned. Only `enabled` does; nothing overrules the
/// others, not even when_none = "try_all".
enum class Admin : std::uint8_t {
    enabled,
    drained,   // exchanges in flight end by themselves, probes go on
    disabled,  // as drained, and it is not probed
    left_out,  // `only` names another server of its pool
};
[[nodiscard]] std::string_view text_of(Admin admin);

struct ServerDecision {
    Admin admin = Admin::enabled;         // never left_out: that follows from PoolDecision::only
    std::optional<std::uint32_t> weight;  // 0 to 65,535 in place of the configuration's; 0: never

    friend bool operator==(const ServerDecision&, const ServerDecision&) = default;
};

struct PoolDecision {
    std::string only;  // the server that alone gets the pool's traffic, whatever its role or weight; "": all
    bool maintenance = false;  // every request is answered 503 with the maintenance page
    std::map<std::string, ServerDecision, std::less<>> servers;  // by name as configured

    friend bool operator==(const PoolDecision&, const PoolDecision&) = default;
};

/// By pool. Those of pools and servers that are not configured mean nothing and do no harm.
using Decisions = std::map<std::string, PoolDecision, std::less<>>;

}  // namespace palier::pool
