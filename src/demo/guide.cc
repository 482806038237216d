#include "palier/demo/guide.h"

#include <numeric>

#include <fmt/format.h>

namespace palier::demo {

std::string config_text(std::uint16_t port, std::span<const FrontAddress> fronts) {
    std::string text =
        fmt::format(R"(# The configuration of `palier demo`: one listener, one pool of {0} fronts, one route.
# Its fronts live inside the demo, on these ports, as long as it runs.

[log]
access = "stdout"   # one line of JSON for each request

[[listener]]
name    = "http"
address = "127.0.0.1:{1}"

[[route]]
pool = "web"        # any host, any path

[[pool]]
name    = "web"
retries = 2         # other fronts tried when one cannot be reached

  [pool.outlier]    # three failures in a row: that front is left alone for two seconds, then four, ...
  failures = 3
  backoff  = "2s"
)",
                    fronts.size(), port);
    for (const FrontAddress& front : fronts) {
        fmt::format_to(std::back_inserter(text), R"(
  [[pool.server]]
  name    = "{}"
  address = "127.0.0.1:{}"
  weight  = {}
)",
                       front.name, front.port, front.weight);
    }
    return text;
}

std::string what_to_try(std::string_view program, std::uint16_t port, std::span<const FrontAddress> fronts) {
    const std::string url = fmt::format("http://127.0.0.1:{}", port);
    const unsigned weights =
        std::accumulate(fronts.begin(), fronts.end(), 0U,
                        [](unsigned sum, const FrontAddress& front) { return sum + front.weight; });
    std::string text = fmt::format("palier {} listens on {}/ and balances over\n", PALIER_VERSION, url);
    for (const FrontAddress& front : fronts) {
        fmt::format_to(std::back_inserter(text),
                       "    {}  http://127.0.0.1:{}  weight {}: {} of {} requests\n", front.name, front.port,
                       front.weight, front.weight, weights);
    }
    const FrontAddress& last = fronts.back();
    fmt::format_to(std::back_inserter(text), R"(
Open {0}/ in a browser, or try in another terminal:

  Who answers, and what does a front see?
    curl {0}/

  {1} requests on one connection, counted by front
    curl -s '{0}/?[1-{1}]' | grep -o '^front[^ ]*' | sort | uniq -c

  Take {2} away for 20 seconds, then count again: no request fails
    curl -X POST 'http://127.0.0.1:{3}/outage?s=20'

  A slow, a failing and a large answer
    curl -w '%{{time_total}} s\n' '{0}/slow?ms=500'
    curl -i {0}/status/503
    curl -o /dev/null '{0}/big?bytes=1000000000'

  The configuration, to start your own from
    {4} demo --print-config > palier.toml
    {4} check -c palier.toml

Ctrl-C ends it. From here on, each request is one line:

)",
                   url, 10 * weights, last.name, last.port, program);
    return text;
}

}  // namespace palier::demo
