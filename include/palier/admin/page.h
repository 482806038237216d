// Pages: what the admin listener tells, each by its path.
// Thread: control only. Owner: the AdminListener.
#pragma once

#include "palier/control/readiness.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace palier::admin {

struct Answer {
    std::uint16_t status = 200;
    std::string_view content_type = "text/plain; charset=utf-8";
    std::string body{};
};

struct Page {
    std::string path;   // the whole path, without a query
    std::string about;  // in a few words, for those who asked for another path
    std::function<Answer()> answer;
};

/// /live: 200 as long as there is a loop to answer. /ready: 200, or 503 with a line for each reason.
/// `readiness` must outlive them.
[[nodiscard]] std::vector<Page> health_pages(const control::Readiness& readiness);

}  // namespace palier::admin
