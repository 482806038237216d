// One stream of HTTP/2 as palier's side of it: nghttp2 keeps windows and states.
// Thread: worker only. Owner: its session, from the worker's free list. Ends: when nghttp2 has closed it and
// the receiver was told.
#pragma once

#include "palier/base/intrusive_list.h"
#include "palier/http/h2_session.h"

#include <cstdint>

namespace palier::http {

struct H2Stream : base::ListLink<H2Stream> {
    static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};

    std::int32_t id = 0;
    H2Error error = H2Error::no_error;  // with which it was closed
    H2Source* source = nullptr;         // of the response
    std::uint64_t promised = kUnknown;  // bytes of DATA still to come by Content-Length
    H2Stream* next_closed = nullptr;    // of those that the receiver is to hear of after produce()
    bool announced : 1 = false;         // on_request() or on_refused() was called
    bool muted : 1 = false;             // nothing but on_closed() may follow
    bool told : 1 = false;              // on_closed() was called
    bool failed : 1 = false;            // it broke a rule; a reset is on its way
    bool gone : 1 = false;              // nghttp2 has closed it
    bool ended : 1 = false;             // END_STREAM came
    bool has_body : 1 = false;          // its end is told
    bool tunnel : 1 = false;            // extended CONNECT
    bool responded : 1 = false;
    bool our_reset : 1 = false;  // the client is not to blame for the RST_STREAM
};

}  // namespace palier::http
