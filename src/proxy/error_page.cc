#include "palier/proxy/error_page.h"

#include "accept.h"
#include "escape.h"

#include <initializer_list>
#include <string>

#include <fmt/format.h>

namespace palier::proxy {
namespace {

constexpr std::size_t kLongestRequestId = 128;

constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kJson = "application/json";

constexpr std::string_view kPageStart =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<title>";
constexpr std::string_view kPageStyle =
    "</title>\n"
    "<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:1.1rem/1.5 system-ui,sans-serif}\n"
    "main{max-width:32rem;padding:2rem}\n"
    "h1{margin:0;font-size:1.6rem}\n"
    "b{display:block;font-size:4rem;line-height:1.1;opacity:.35}\n"
    "small{opacity:.6;overflow-wrap:anywhere}\n"
    "</style>\n"
    "</head>\n"
    "<body>\n"
    "<main>\n";
constexpr std::string_view kPageEnd =
    "</main>\n"
    "</body>\n"
    "</html>\n";

/// What a visitor of the site is told: what happened in plain words, and what to do.
std::string_view sentence_for(int status) {
    switch (status) {
        case 400:
            return "Your browser sent a request that this site could not understand.";
        case 403:
            return "You do not have access to this page.";
        case 404:
            return "There is nothing at this address. Please check it for typing mistakes.";
        case 408:
            return "Your request took too long to arrive. Please try again.";
        case 413:
            return "What you sent is larger than this site accepts.";
        case 414:
            return "The address you asked for is longer than this site accepts.";
        case 429:
            return "You have sent too many requests. Please wait a moment and try again.";
        case 431:
            return "Your browser sent more than this site accepts. Deleting its cookies for this site may "
                   "help.";
        case 502:
            return "The site did not give a proper answer. Please try again in a moment.";
        case 503:
            return "The site is not available right now. Please try again in a moment.";
        case 504:
            return "The site took too long to answer. Please try again in a moment.";
        default:
            return status < 500 ? "This site could not accept your request."
                                : "Something went wrong on our side. Please try again in a moment.";
    }
}

std::string html_escaped(std::string_view text) {
    std::string out(text.size() * kHtmlExpansion, '\0');
    out.resize(static_cast<std::size_t>(put_html_escaped(out.data(), text) - out.data()));
    return out;
}

std::string json_escaped(std::string_view text) {
    std::string out(text.size() * kJsonExpansion, '\0');
    out.resize(static_cast<std::size_t>(put_json_escaped(out.data(), text) - out.data()));
    return out;
}

/// No longer than any honest request id.
std::string_view shortened(std::string_view request_id) {
    return request_id.substr(0, kLongestRequestId);
}

std::string html_page(int status, std::string_view sentence, std::string_view request_id) {
    const std::string_view phrase = reason_phrase(status);
    std::string page = fmt::format("{}{} {}{}<b>{}</b>\n<h1>{}</h1>\n<p>{}</p>\n", kPageStart, status, phrase,
                                   kPageStyle, status, phrase, sentence);
    if (!request_id.empty()) {
        page += fmt::format("<small>Request {}</small>\n", html_escaped(shortened(request_id)));
    }
    page += kPageEnd;
    return page;
}

std::string json_page(int status, std::string_view sentence, std::string_view request_id) {
    return fmt::format("{{\"status\":{},\"error\":\"{}\",\"message\":\"{}\",\"request_id\":\"{}\"}}\n",
                       status, reason_phrase(status), sentence, json_escaped(shortened(request_id)));
}

/// Bytes that RFC 3986 allows nowhere in a URI become %XX, which keeps them from ending the field as well.
std::string url_encoded(std::string_view location) {
    std::string out;
    out.reserve(location.size());
    for (const char byte : location) {
        const auto value = static_cast<unsigned char>(byte);
        const bool allowed = value > 0x20 && value < 0x7f &&
                             std::string_view("\"<>\\^`{|}").find(byte) == std::string_view::npos;
        if (allowed) {
            out += byte;
        } else {
            out += fmt::format("%{:02X}", value);
        }
    }
    return out;
}

/// RFC 9110 sections 8.6 and 15: these have neither a body nor a Content-Length.
bool has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

struct Answer {
    int status = 200;
    std::string_view content_type;
    std::string_view body;
    bool cacheable = true;
    bool head_request = false;
    bool keep_alive = true;
    std::string_view http_date;
    std::string_view extra_fields;
};

void append_all(base::Buffer& out, std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts)
        out.append(part);
}

void write_answer(base::Buffer& out, const Answer& answer) {
    const fmt::format_int status(answer.status);
    append_all(out, {"HTTP/1.1 ",
                     {status.data(), status.size()},
                     " ",
                     reason_phrase(answer.status),
                     "\r\nServer: palier\r\nDate: ",
                     answer.http_date,
                     "\r\n"});
    if (has_body(answer.status)) {
        const fmt::format_int length(answer.body.size());
        append_all(out, {"Content-Type: ",
                         answer.content_type,
                         "\r\nContent-Length: ",
                         {length.data(), length.size()},
                         "\r\n"});
    }
    if (!answer.cacheable) out.append("Cache-Control: no-store\r\n");
    if (!answer.keep_alive) out.append("Connection: close\r\n");
    append_all(out, {answer.extra_fields, "\r\n"});
    if (has_body(answer.status) && !answer.head_request) out.append(answer.body);
}

}  // namespace

void write_error_response(base::Buffer& out, int status, std::string_view accept, bool head_request,
                          bool keep_alive, std::string_view request_id, std::string_view http_date,
                          std::optional<unsigned> retry_after_seconds, std::string_view extra_fields,
                          std::string_view sentence) {
    const bool json = prefers_json(accept);
    if (sentence.empty()) sentence = sentence_for(status);
    const std::string body =
        json ? json_page(status, sentence, request_id) : html_page(status, sentence, request_id);
    std::string fields;
    if (retry_after_seconds) fields = fmt::format("Retry-After: {}\r\n", *retry_after_seconds);
    fields += extra_fields;
    write_answer(out, {.status = status,
                       .content_type = json ? kJson : kHtml,
                       .body = body,
                       .cacheable = false,
                       .head_request = head_request,
                       .keep_alive = keep_alive,
                       .http_date = http_date,
                       .extra_fields = fields});
}

void write_redirect(base::Buffer& out, int status, std::string_view location, bool head_request,
                    bool keep_alive, std::string_view http_date, std::string_view extra_fields) {
    const std::string url = url_encoded(location);
    const std::string link = html_escaped(url);
    const std::string body =
        fmt::format("<!doctype html>\n<title>{}</title>\n<p>This page is at <a href=\"{}\">{}</a>.</p>\n",
                    reason_phrase(status), link, link);
    const std::string fields = fmt::format("Location: {}\r\n{}", url, extra_fields);
    write_answer(out, {.status = status,
                       .content_type = kHtml,
                       .body = body,
                       .head_request = head_request,
                       .keep_alive = keep_alive,
                       .http_date = http_date,
                       .extra_fields = fields});
}

void write_fixed_response(base::Buffer& out, int status, std::string_view content_type, std::string_view body,
                          bool head_request, bool keep_alive, std::string_view http_date,
                          std::string_view extra_fields) {
    write_answer(out, {.status = status,
                       .content_type = content_type,
                       .body = body,
                       .cacheable = status < 400,
                       .head_request = head_request,
                       .keep_alive = keep_alive,
                       .http_date = http_date,
                       .extra_fields = extra_fields});
}

}  // namespace palier::proxy
