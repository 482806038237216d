// What a front answers to a request, decided without I/O.
// Thread: any; pure.
#pragma once

#include "demo/page.h"
#include "demo/request.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace palier::demo {

struct Answer {
    std::uint16_t status = 200;
    std::string_view content_type = "text/plain; charset=utf-8";
    std::string body;
    std::uint64_t filler = 0;  // bytes to send instead of `body`
    std::chrono::milliseconds delay{0};
    std::chrono::milliseconds outage{0};  // to start once this answer is sent
};

/// /slow?ms=N (at most a minute), /status/N (200 to 599), /big?bytes=N (at most 1 TB), POST /outage?s=N (at
/// most 10 minutes), and the page on every other path. A bad number is 400.
[[nodiscard]] Answer answer_to(const SeenRequest& request, const FrontView& front);

/// The answer's head, for a connection that stays open or not. 204 and 304 have no length.
[[nodiscard]] std::string head_of(const Answer& answer, std::string_view front, bool keep_alive);
/// Whether body bytes follow that head.
[[nodiscard]] bool has_body(const Answer& answer, const SeenRequest& request);

}  // namespace palier::demo
