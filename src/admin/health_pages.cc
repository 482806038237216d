#include "palier/admin/page.h"
#include "palier/base/clock.h"

namespace palier::admin {
namespace {

Answer ready(const control::Readiness& readiness) {
    const std::vector<std::string> obstacles = readiness.obstacles(base::monotonic_ms());
    if (obstacles.empty()) return {.body = "ready\n"};
    Answer answer{.status = 503};
    for (const std::string& obstacle : obstacles)
        answer.body += obstacle + "\n";
    return answer;
}

}  // namespace

std::vector<Page> health_pages(const control::Readiness& readiness) {
    return {{"/live", "200 while palier runs", [] { return Answer{.body = "live\n"}; }},
            {"/ready", "200 while palier may be sent traffic, else 503 and why not",
             [&readiness] { return ready(readiness); }}};
}

}  // namespace palier::admin
