#include "demo/page.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>

#include <fmt/format.h>

namespace palier::demo {
namespace {

struct Colour {
    std::string_view light;
    std::string_view dark;
};

// Fronts whose names differ by their last digit get different colours.
Colour colour_of(std::string_view name) {
    static constexpr std::array<Colour, 3> kColours{{
        {"#b45309", "#fbbf24"},
        {"#1d4ed8", "#7aa7ff"},
        {"#047857", "#4ade9f"},
    }};
    const unsigned sum = std::accumulate(name.begin(), name.end(), 0U, [](unsigned total, char c) {
        return total + static_cast<unsigned char>(c);
    });
    return kColours[sum % kColours.size()];
}

std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

bool is_from_proxy(std::string_view name) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower.starts_with("x-forwarded-") || lower == "x-request-id" || lower == "forwarded";
}

/// The scheme that the visitor used, as the proxy says: "" for one who came directly.
std::string_view scheme_of(const SeenRequest& request) {
    const std::string_view said = request.field("X-Forwarded-Proto");
    return said == "http" || said == "https" ? said : "";
}

/// A front is called in HTTP/1.1, whatever the visitor spoke to the proxy. The browser knows that.
constexpr std::string_view kProtocol = R"html(<script>
const visit=performance.getEntriesByType('navigation')[0];
const protocol={h2:'HTTP/2','http/1.1':'HTTP/1.1'}[visit&&visit.nextHopProtocol];
if(protocol)document.getElementById('way').append(', '+protocol);
</script>
)html";

constexpr std::string_view kStyle = R"css(
*{box-sizing:border-box}
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1b1f27;--soft:#5d6675;--line:#e3e6eb}
@media(prefers-color-scheme:dark){:root{--front:var(--front-dark);--page:#12151b;--card:#1b2029;--ink:#e7eaf0;
--soft:#99a3b3;--line:#2c3340}}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:46rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
header{border-left:.5rem solid var(--front);padding:.1rem 0 .1rem 1.1rem;margin-bottom:1.75rem}
h1{margin:0;font-size:2.75rem;line-height:1.1;letter-spacing:-.02em;color:var(--front)}
header p{margin:.35rem 0 0;color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.1rem 1.35rem;margin-top:1.1rem}
h2{margin:0 0 .5rem;font-size:1rem}
p.note{margin:1.1rem 0 0;font-weight:600}
code,td,th{font:.875rem/1.5 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse}
th,td{text-align:left;vertical-align:top;padding:.2rem .5rem;border-top:1px solid var(--line)}
th{font-weight:400;color:var(--soft);width:34%}
tr.proxy td,tr.proxy th{color:var(--front);font-weight:600}
.small{color:var(--soft);font-size:.875rem;margin:.6rem 0 0}
ul{margin:.25rem 0 0;padding-left:1.2rem}li{margin:.3rem 0}
a{color:var(--front)}
)css";

constexpr std::string_view kTry = R"html(<section>
<h2>Try</h2>
<ul>
<li><a href="/">Reload</a>: six requests on one connection reach front1 three times, front2 twice and front3 once.</li>
<li><a href="/slow?ms=500">/slow?ms=500</a> answers after half a second.</li>
<li><a href="/status/503">/status/503</a> answers with that status; several in a row and the proxy leaves that front alone for a while.</li>
<li><a href="/big?bytes=1048576">/big?bytes=1048576</a> sends so many bytes.</li>
<li>The terminal where <code>palier demo</code> runs has more, such as taking one front away.</li>
</ul>
</section>
)html";

std::string fields_table(const SeenRequest& request) {
    std::string rows;
    for (const SeenField& field : request.fields) {
        fmt::format_to(std::back_inserter(rows), "<tr{}><th scope=\"row\">{}</th><td>{}</td></tr>\n",
                       is_from_proxy(field.name) ? " class=\"proxy\"" : "", escaped(field.name),
                       escaped(field.value));
    }
    return rows;
}

std::string way_of(const SeenRequest& request) {
    const std::string_view scheme = scheme_of(request);
    if (scheme.empty()) return "<p>You came directly, past the proxy.</p>";
    return fmt::format("<p id=\"way\">You came by {}</p>\n{}", scheme, kProtocol);
}

}  // namespace

bool wants_html(std::string_view accept) {
    return accept.find("text/html") != std::string_view::npos;
}

std::string html_page(const FrontView& front, const SeenRequest& request, std::string_view note) {
    const Colour colour = colour_of(front.name);
    const std::string name = escaped(front.name);
    std::string page;
    fmt::format_to(
        std::back_inserter(page),
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0} · request {1}</title>\n"
        // Without it browsers ask for /favicon.ico, which would take a turn in the rotation.
        "<link rel=\"icon\" href=\"data:,\">\n"
        "<style>:root{{--front:{2};--front-dark:{3}}}{4}</style>\n</head>\n<body>\n<main>\n"
        "<header><h1>{0}</h1><p>answered · weight {5} · its request number {1}</p>{6}</header>\n",
        name, front.requests, colour.light, colour.dark, kStyle, front.weight, way_of(request));
    if (!note.empty()) fmt::format_to(std::back_inserter(page), "<p class=\"note\">{}</p>\n", escaped(note));
    fmt::format_to(
        std::back_inserter(page),
        "<section>\n<h2>The request, as {0} saw it</h2>\n<p><code>{1} {2}</code></p>\n<table>\n{3}</table>\n"
        "<p class=\"small\">In colour: what the proxy says about the client. {0} itself was called by "
        "{4}{5}.</p>\n</section>\n",
        name, escaped(request.method), escaped(request.target), fields_table(request), escaped(request.peer),
        request.body_bytes > 0 ? fmt::format(", with a body of {} bytes", request.body_bytes) : "");
    page += kTry;
    page += "</main>\n</body>\n</html>\n";
    return page;
}

std::string text_page(const FrontView& front, const SeenRequest& request, std::string_view note) {
    std::string page = fmt::format("{} · request {}", front.name, front.requests);
    if (const std::string_view scheme = scheme_of(request); !scheme.empty())
        fmt::format_to(std::back_inserter(page), " · came by {}", scheme);
    page += '\n';
    if (!note.empty()) fmt::format_to(std::back_inserter(page), "{}\n", note);
    fmt::format_to(std::back_inserter(page), "\n{} {}\n", request.method, request.target);
    for (const SeenField& field : request.fields) {
        fmt::format_to(std::back_inserter(page), "{}: {}\n", field.name, field.value);
    }
    if (request.body_bytes > 0)
        fmt::format_to(std::back_inserter(page), "\n{} bytes of body\n", request.body_bytes);
    return page;
}

}  // namespace palier::demo
