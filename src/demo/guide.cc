#include "palier/demo/guide.h"

#include <numeric>

#include <fmt/format.h>

namespace palier::demo {

namespace {

/// `lines` as comments.
std::string commented(std::string_view lines) {
    std::string out;
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find('\n') + 1);
        out += line == "\n" ? "#" : "# ";
        out += line;
        lines.remove_prefix(line.size());
    }
    return out;
}

constexpr std::string_view kMakeCertificate = R"(
# HTTPS, with HTTP/2 for every client that can. The demo made its certificate in memory; one in a file comes from
#
#     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
#         -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {0} -out {0}
#
# Then take the "# " away here:
#
)";

std::string https_listener(std::uint16_t port, std::string_view certificate) {
    constexpr std::string_view kListener = R"([[listener]]
name    = "https"
address = "127.0.0.1:{}"

  [listener.tls]    # HTTP/2 for every client that can
  certificates = ["{}"]
  default      = "localhost"   # for clients that ask for no name, or another one
)";
    if (!certificate.empty()) return "\n" + fmt::format(kListener, port, certificate);
    constexpr std::string_view kFile = "localhost.pem";
    return fmt::format(kMakeCertificate, kFile) + commented(fmt::format(kListener, port, kFile));
}

}  // namespace

std::string config_text(const ProxyPorts& ports, std::span<const FrontAddress> fronts,
                        std::string_view certificate) {
    std::string text =
        fmt::format(R"(# The configuration of `palier demo`: a pool of {0} fronts, and one route to it.
# Its fronts live inside the demo, on these ports, as long as it runs.

# Without these, many demos may run beside each other.
admin          = ""   # "127.0.0.1:9901" answers /ready
control_socket = ""   # "/run/palier/control.sock" is where palier ctl looks for it
state_file     = ""   # "/var/lib/palier/state.json" keeps what operators decide with palier ctl

[log]
access = "stdout"   # one line of JSON for each request

[[listener]]
name    = "http"
address = "127.0.0.1:{1}"
http2   = true      # for clients that begin with it; browsers speak HTTP/2 over https only
{2}
[[route]]
pool = "web"        # any host, any path

[[pool]]
name    = "web"
retries = 2         # other fronts tried when one cannot be reached

  [pool.outlier]    # three failures in a row: that front is left alone for two seconds, then four, ...
  failures = 3
  backoff  = "2s"
)",
                    fronts.size(), ports.http, https_listener(ports.https, certificate));
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

std::string what_to_try(std::string_view program, const ProxyPorts& ports,
                        std::span<const FrontAddress> fronts, std::string_view control_socket) {
    const std::string url = fmt::format("http://127.0.0.1:{}", ports.http);
    const std::string secure = fmt::format("https://localhost:{}", ports.https);
    const unsigned weights =
        std::accumulate(fronts.begin(), fronts.end(), 0U,
                        [](unsigned sum, const FrontAddress& front) { return sum + front.weight; });
    std::string text =
        fmt::format("palier {} listens on {}/ and {}/ and balances over\n", PALIER_VERSION, url, secure);
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

  Its fronts as palier sees them; one of them drained by hand, and put back
    {4} ctl -s {6} pools
    {4} ctl -s {6} drain web/{2}
    {4} ctl -s {6} enable web/{2}

  A slow, a failing and a large answer
    curl -w '%{{time_total}} s\n' '{0}/slow?ms=500'
    curl -i {0}/status/503
    curl -o /dev/null '{0}/big?bytes=1000000000'

  The same encrypted, and over HTTP/2 (-k: nobody vouches for a certificate that was made a moment ago)
    curl -k {5}/
    curl -k --http2 -o /dev/null -w 'HTTP/%{{http_version}}\n' {5}/
    curl --http2-prior-knowledge -o /dev/null -w 'HTTP/%{{http_version}}\n' {0}/
  A browser warns for the same reason; behind its warning, {5}/ says how you came.

  The configuration, to start your own from
    {4} demo --print-config > palier.toml
    {4} check -c palier.toml

Ctrl-C ends it. From here on, each request is one line:

)",
                   url, 10 * weights, last.name, last.port, program, secure, control_socket);
    return text;
}

}  // namespace palier::demo
