#include "http/ascii.h"
#include "http/field_lines.h"
#include "http/head_bytes.h"
#include "palier/http/h1_parser.h"

#include <algorithm>
#include <optional>

namespace palier::http {
namespace {

using Verdict = std::optional<Refusal>;  // nothing: go on

constexpr std::string_view kVersionPrefix = "HTTP/1.";

[[nodiscard]] bool may_begin_response(std::string_view bytes) {
    return kVersionPrefix.starts_with(bytes.substr(0, kVersionPrefix.size()));
}

/// HTTP-version SP status-code [SP reason] (RFC 9112 section 4; browsers and nginx do without the second
/// space too). `line` is without its LF.
[[nodiscard]] Verdict read_status_line(std::string_view line, ResponseHead& head) {
    constexpr std::size_t kCode = kVersionPrefix.size() + 2;  // "HTTP/1.1 "
    if (!line.ends_with('\r') || !line.starts_with(kVersionPrefix)) return Refusal::bad_status_line;
    line.remove_suffix(1);
    if (line.size() < kCode + 3 || line[kCode - 1] != ' ') return Refusal::bad_status_line;
    const char minor = line[kVersionPrefix.size()];
    if (!is_digit(minor)) return Refusal::bad_status_line;
    if (minor > '1') return Refusal::bad_version;
    head.minor = static_cast<std::uint8_t>(minor - '0');

    const std::string_view code = line.substr(kCode, 3);
    if (!std::all_of(code.begin(), code.end(), is_digit) || code[0] == '0') return Refusal::bad_status_line;
    head.status = static_cast<std::uint16_t>((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));

    head.reason = line.substr(kCode + 3);
    if (head.reason.empty()) return {};
    if (head.reason.front() != ' ') return Refusal::bad_status_line;
    head.reason.remove_prefix(1);
    const bool clean = std::none_of(head.reason.begin(), head.reason.end(),
                                    [](char c) { return c != '\t' && is(kControl, c); });
    if (!clean) return Refusal::bad_status_line;
    return {};
}

/// RFC 9112 section 6.3. A message that can have no body but frames one may be followed by bytes of it: its
/// connection is not reused, and a 1xx of that kind is refused since a response must follow it.
[[nodiscard]] Verdict read_body(const FramingFields& fields, Method request, ResponseHead& head) {
    const auto body = body_length_of(fields, head.minor);
    if (!body) return body.error();
    const bool interim = head.status < 200;
    if (interim && body->framing == Framing::chunked) return Refusal::bad_transfer_encoding;
    head.body = *body;
    if (interim || head.status == 204) {
        if (body->framing == Framing::chunked || body->length > 0) head.keep_alive = false;
        head.body = {};
    } else if (request == Method::head || head.status == 304) {
        head.body = {};
    } else if (body->framing == Framing::none) {
        head.body.framing = Framing::until_close;
        head.keep_alive = false;
    }
    return {};
}

[[nodiscard]] Verdict read_fields(ResponseHead& head, Method request, bool upgrade_asked) {
    FramingFields framing;
    ConnectionOptions connection;
    for (const Field& field : head.fields) {
        if (field.known == Name::content_length || field.known == Name::transfer_encoding) {
            framing.note(field);
        } else if (field.known == Name::connection) {
            connection.note(field.value);
        }
    }
    if (head.status == 101 && (!upgrade_asked || head.minor == 0)) return Refusal::unexpected_switch;
    head.keep_alive = connection.persists(head.minor);
    return read_body(framing, request, head);
}

}  // namespace

HeadResult ResponseParser::parse(std::string_view bytes, std::size_t seen, Method request,
                                 bool upgrade_asked) {
    const std::string_view lines = whole_lines(bytes, limits_.size);
    const bool full = bytes.size() >= limits_.size;
    const std::size_t line_end = lines.find('\n');
    if (line_end == std::string_view::npos) {
        if (!may_begin_response(bytes)) return refused(Refusal::bad_status_line);
        return full ? refused(Refusal::head_too_large) : HeadResult{};
    }
    if (lines.size() <= seen && !full) return {};  // no new line since
    if (const Verdict verdict = read_status_line(lines.substr(0, line_end), head_)) return refused(*verdict);
    const auto fields = parse_field_lines(lines.substr(line_end + 1), limits_.fields, head_.fields);
    switch (fields.state) {
        case FieldsState::incomplete:
            return full ? refused(Refusal::head_too_large) : HeadResult{};
        case FieldsState::bad:
            return refused(Refusal::bad_field);
        case FieldsState::too_many:
            return refused(Refusal::too_many_fields);
        case FieldsState::complete:
            break;
    }
    if (const Verdict verdict = read_fields(head_, request, upgrade_asked)) return refused(*verdict);
    return {HeadState::complete, line_end + 1 + fields.consumed, {}};
}

}  // namespace palier::http
