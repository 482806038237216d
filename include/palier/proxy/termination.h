// Why an exchange ended: the one list, which ties a reason to its word in the access log, to whether it is an
// error, to the side that caused it, and to what it means.
// Thread: immutable, any.
#pragma once

#include "palier/base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace palier::proxy {

// X(word, is an error, side, what it means)
#define PALIER_TERMINATIONS(X)                                                                          \
    X(ok, false, ourselves, "the whole answer was given to the client")                                 \
    X(redirect, false, ourselves, "a route's redirect was the answer")                                  \
    X(respond, false, ourselves, "a route's fixed response was the answer")                             \
    X(tunnel, false, ourselves, "a tunnel was opened, and closed by one of its ends")                   \
    X(client_closed, true, client, "the client went away before the answer was complete")               \
    X(client_timeout_header, true, client, "the request head did not come in time")                     \
    X(client_timeout_body, true, client, "the request body stopped coming")                             \
    X(client_write_timeout, true, client, "the client stopped taking the answer")                       \
    X(bad_request, true, client, "the request was malformed or ambiguous")                              \
    X(plain_http, true, client, "the client spoke HTTP without TLS to a listener with TLS")             \
    X(head_too_large, true, client, "the request head was beyond limits.header_size or limits.headers") \
    X(target_too_long, true, client, "the request target alone was beyond limits.header_size")          \
    X(body_too_large, true, client, "the request body was beyond limits.body")                          \
    X(not_supported, true, client, "a method, version or expectation that palier does not serve")       \
    X(no_route, true, client, "no route matches the host and path")                                     \
    X(no_server, true, backend, "the pool had no usable server")                                        \
    X(maintenance, false, ourselves, "an operator has the pool in maintenance")                         \
    X(no_memory, true, ourselves, "palier had nearly used limits.memory")                               \
    X(queue_timeout, true, backend, "all servers stayed full for as long as a request may wait")        \
    X(connect_failed, true, backend, "the server refused the connection, or could not be reached")      \
    X(connect_timeout, true, backend, "the server did not accept the connection in time")               \
    X(backend_reset, true, backend, "the server closed the connection before its response head")        \
    X(backend_timeout, true, backend, "the server did not answer, or stopped answering, in time")       \
    X(backend_bad_response, true, backend, "the response was malformed, ambiguous or beyond limits")    \
    X(backend_cut, true, backend, "the response body ended before its promised length")                 \
    X(tunnel_timeout, true, ourselves, "a tunnel was closed after timeouts.tunnel without traffic")     \
    X(tunnel_ended, false, ourselves, "an operator had the tunnels through the server ended")           \
    X(shutdown, true, ourselves, "cut off when shutdown_grace ended")                                   \
    X(internal, true, ourselves, "palier itself failed; the event log says more")

enum class Termination : std::uint8_t {
#define X(word, error, side, meaning) word,
    PALIER_TERMINATIONS(X)
#undef X
};

struct TerminationFacts {
    std::string_view text;  // its word in the access log
    bool error;
    base::Side side;
    std::string_view meaning;
};

inline constexpr auto kTerminations = std::to_array<TerminationFacts>({
#define X(word, error, side, meaning) {#word, error, base::Side::side, meaning},
    PALIER_TERMINATIONS(X)
#undef X
});

#undef PALIER_TERMINATIONS

/// Of a request that was refused with `status` because of its head.
[[nodiscard]] Termination termination_of(std::uint16_t status);

[[nodiscard]] constexpr const TerminationFacts& facts_of(Termination reason) {
    return kTerminations[static_cast<std::size_t>(reason)];
}
[[nodiscard]] constexpr std::string_view text_of(Termination reason) {
    return facts_of(reason).text;
}
[[nodiscard]] constexpr base::Side side_of(Termination reason) {
    return facts_of(reason).side;
}
[[nodiscard]] constexpr bool is_error(Termination reason) {
    return facts_of(reason).error;
}

}  // namespace palier::proxy
