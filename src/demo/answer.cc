#include "demo/answer.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace palier::demo {
namespace {

constexpr std::uint64_t kLongestDelay = 60'000;            // ms
constexpr std::uint64_t kLargestBody = 1'000'000'000'000;  // bytes
constexpr std::uint64_t kLongestOutage = 600;              // s

/// All of `text` as a number from `least` to `most`.
std::optional<std::uint64_t> number(std::string_view text, std::uint64_t least, std::uint64_t most) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) return {};
    return value;
}

Answer page(const SeenRequest& request, const FrontView& front, std::uint16_t status, std::string_view note) {
    Answer answer;
    answer.status = status;
    if (wants_html(request.field("Accept"))) {
        answer.content_type = "text/html; charset=utf-8";
        answer.body = html_page(front, request, note);
    } else {
        answer.body = text_page(front, request, note);
    }
    return answer;
}

Answer slow(const SeenRequest& request, const FrontView& front) {
    const auto wait = number(request.parameter("ms"), 0, kLongestDelay);
    if (!wait) return page(request, front, 400, "Use /slow?ms=500, at most 60000.");
    Answer answer = page(request, front, 200, fmt::format("This answer waited {} ms.", *wait));
    answer.delay = std::chrono::milliseconds(*wait);
    return answer;
}

Answer status(const SeenRequest& request, const FrontView& front) {
    const auto code = number(request.path().substr(std::string_view("/status/").size()), 200, 599);
    if (!code) return page(request, front, 400, "Use /status/503, or any other from 200 to 599.");
    return page(request, front, static_cast<std::uint16_t>(*code),
                fmt::format("Status {}, as asked for.", *code));
}

Answer big(const SeenRequest& request, const FrontView& front) {
    const auto bytes = number(request.parameter("bytes"), 0, kLargestBody);
    if (!bytes) return page(request, front, 400, "Use /big?bytes=1048576, at most 1000000000000.");
    Answer answer;
    answer.content_type = "application/octet-stream";
    answer.filler = *bytes;
    return answer;
}

Answer outage(const SeenRequest& request, const FrontView& front) {
    if (request.method != "POST") return page(request, front, 405, "Use POST: it takes this front away.");
    const auto seconds = number(request.parameter("s"), 1, kLongestOutage);
    if (!seconds) return page(request, front, 400, "Use /outage?s=20, at most 600.");
    Answer answer;
    answer.body = fmt::format("{} is down for {} s: connections to it are refused.\n", front.name, *seconds);
    answer.outage = std::chrono::seconds(*seconds);
    return answer;
}

std::string_view reason_of(std::uint16_t status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 500:
            return "Internal Server Error";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "As Asked";
    }
}

bool is_bodiless(std::uint16_t status) {
    return status == 204 || status == 304;
}

}  // namespace

Answer answer_to(const SeenRequest& request, const FrontView& front) {
    const std::string_view path = request.path();
    if (path == "/slow") return slow(request, front);
    if (path.starts_with("/status/")) return status(request, front);
    if (path == "/big") return big(request, front);
    if (path == "/outage") return outage(request, front);
    return page(request, front, 200, "");
}

std::string head_of(const Answer& answer, std::string_view front, bool keep_alive) {
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", answer.status, reason_of(answer.status));
    auto out = std::back_inserter(head);
    if (!is_bodiless(answer.status)) {
        fmt::format_to(out, "Content-Type: {}\r\nContent-Length: {}\r\n", answer.content_type,
                       answer.filler > 0 ? answer.filler : answer.body.size());
    }
    fmt::format_to(out, "Cache-Control: no-store\r\nX-Front: {}\r\n", front);
    if (answer.status == 405) head += "Allow: POST\r\n";
    if (!keep_alive) head += "Connection: close\r\n";
    head += "\r\n";
    return head;
}

bool has_body(const Answer& answer, const SeenRequest& request) {
    return !is_bodiless(answer.status) && request.method != "HEAD";
}

}  // namespace palier::demo
