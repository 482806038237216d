#include "http/ascii.h"
#include "http/authority.h"
#include "http/field_lines.h"
#include "http/head_bytes.h"
#include "palier/http/h1_parser.h"

#include <algorithm>
#include <optional>

namespace palier::http {
namespace {

using Verdict = std::optional<Refusal>;  // nothing: go on

/// Empty lines that a client may send before a request, at most two (RFC 9112 section 2.2).
[[nodiscard]] std::size_t leading_empty_lines(std::string_view bytes) {
    if (!bytes.starts_with("\r\n")) return 0;
    return bytes.substr(2).starts_with("\r\n") ? 4 : 2;
}

/// Whether a request line without its end may still become one, so that a TLS handshake or noise is refused
/// at its first bytes. Looks at no more than a long method's worth of bytes, for this is asked at each read.
[[nodiscard]] bool may_begin_request(std::string_view bytes) {
    bytes.remove_prefix(leading_empty_lines(bytes));
    if (bytes.empty() || bytes == "\r") return true;
    bytes = bytes.substr(0, 64);
    const auto* stop = std::find_if_not(bytes.begin(), bytes.end(), [](char c) { return is(kToken, c); });
    return stop != bytes.begin() && (stop == bytes.end() || *stop == ' ');
}

/// The part of an absolute-form target after its scheme; nothing for other targets.
[[nodiscard]] std::optional<std::string_view> after_scheme(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (starts_with_icase(target, scheme)) return target.substr(scheme.size());
    }
    return std::nullopt;
}

/// RFC 9112 section 3.2. "http://host?query" has no path to point at and is refused like other schemes.
[[nodiscard]] Verdict read_target(RequestHead& head) {
    head.authority = {};
    if (head.target.front() == '/') {
        head.path = head.target;
        return {};
    }
    if (head.target == "*") {
        if (head.method != Method::options) return Refusal::bad_target;
        head.path = head.target;
        return {};
    }
    const auto rest = after_scheme(head.target);
    if (!rest) return Refusal::bad_target;
    const std::size_t slash = std::min(rest->find('/'), rest->size());
    if (rest->substr(0, slash).find_first_of("?#") != std::string_view::npos) return Refusal::bad_target;
    head.authority = rest->substr(0, slash);
    if (head.authority.empty()) return Refusal::bad_host;
    head.path = rest->substr(slash);
    if (head.path.empty())
        head.path = head.method == Method::options ? "*" : "/";  // sections 3.2.2 and 3.2.4
    return {};
}

/// method SP target SP HTTP-version, with single spaces (RFC 9112 section 3). `line` is without its LF.
[[nodiscard]] Verdict read_request_line(std::string_view line, RequestHead& head) {
    constexpr std::size_t kVersionSize = 8;  // HTTP/1.1
    if (!line.ends_with('\r')) return Refusal::bad_request_line;
    line.remove_suffix(1);
    const auto* method_end = std::find_if_not(line.begin(), line.end(), [](char c) { return is(kToken, c); });
    if (method_end == line.begin() || method_end == line.end() || *method_end != ' ') {
        return Refusal::bad_request_line;
    }
    head.method_token = {line.begin(), method_end};
    const std::string_view rest{method_end + 1, line.end()};
    if (rest.size() < 1 + 1 + kVersionSize || rest[rest.size() - kVersionSize - 1] != ' ') {
        return Refusal::bad_request_line;
    }
    const std::string_view version = rest.substr(rest.size() - kVersionSize);
    if (!version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
        !is_digit(version[7])) {
        return Refusal::bad_request_line;
    }
    if (version[5] != '1' || version[7] > '1') return Refusal::bad_version;
    head.minor = static_cast<std::uint8_t>(version[7] - '0');
    head.method = method_of(head.method_token);
    if (head.method == Method::connect) return Refusal::bad_method;
    head.target = rest.substr(0, rest.size() - kVersionSize - 1);
    const bool clean = std::none_of(head.target.begin(), head.target.end(),
                                    [](char c) { return c == ' ' || is(kControl, c); });
    if (!clean) return Refusal::bad_target;
    return read_target(head);
}

/// HTTP/2 is spoken where TLS or the listener says so, never after an upgrade from HTTP/1: such an offer is
/// ignored (RFC 9110 section 7.8 allows that), for a tunnel would hide requests from every rule.
[[nodiscard]] bool offers_http2(std::string_view upgrade) {
    bool found = false;
    for_each_element(upgrade, [&found](std::string_view protocol) {
        found |= equals_icase(protocol, "h2c") || equals_icase(protocol, "h2") ||
                 starts_with_icase(protocol, "http");
    });
    return found;
}

/// What the fields of a request say, collected in one pass.
struct RequestFields {
    FramingFields framing;
    ConnectionOptions connection;
    unsigned hosts = 0;
    std::string_view host;
    unsigned upgrades = 0;
    std::string_view upgrade;
    bool expects = false;
    bool expects_other = false;

    explicit RequestFields(const std::vector<Field>& fields) {
        for (const Field& field : fields) {
            if (field.known != Name::other) note(field);
        }
    }

    void note(const Field& field) {
        switch (field.known) {
            case Name::host:
                ++hosts;
                host = field.value;
                break;
            case Name::content_length:
            case Name::transfer_encoding:
                framing.note(field);
                break;
            case Name::connection:
                connection.note(field.value);
                break;
            case Name::upgrade:
                ++upgrades;
                upgrade = field.value;
                break;
            case Name::expect:
                expects = true;
                expects_other |= !equals_icase(field.value, "100-continue");
                break;
            default:
                break;
        }
    }
};

/// Host, and the authority of an absolute-form target, which wins (RFC 9112 section 3.2.2).
[[nodiscard]] Verdict read_host(const RequestFields& fields, RequestHead& head) {
    if (fields.hosts > 1) return Refusal::several_hosts;
    if (fields.hosts == 0 && head.minor > 0) return Refusal::missing_host;
    head.host = {};
    if (!head.authority.empty()) {
        const auto host = host_of(head.authority);
        if (!host) return Refusal::bad_host;
        head.host = *host;
    }
    if (fields.hosts == 1) {
        const auto host = host_of(fields.host);
        if (!host) return Refusal::bad_host;
        if (head.authority.empty()) {
            head.authority = fields.host;
            head.host = *host;
        }
    }
    return {};
}

[[nodiscard]] Verdict read_upgrade(const RequestFields& fields, RequestHead& head) {
    head.wants_upgrade = head.minor > 0 && fields.connection.upgrade && !fields.upgrade.empty() &&
                         !offers_http2(fields.upgrade);
    head.upgrade = head.wants_upgrade ? fields.upgrade : std::string_view{};
    if (!head.wants_upgrade) return {};
    const bool has_body = head.body.framing == Framing::chunked || head.body.length > 0;
    if (has_body || fields.upgrades > 1) return Refusal::bad_upgrade;
    return {};
}

[[nodiscard]] Verdict read_fields(RequestHead& head) {
    const RequestFields fields(head.fields);
    if (const Verdict verdict = read_host(fields, head)) return verdict;
    const auto body = body_length_of(fields.framing, head.minor);
    if (!body) return body.error();
    head.body = *body;
    head.keep_alive = fields.connection.persists(head.minor);
    // RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored; without a body there is nothing to wait
    // for.
    const bool has_body = head.body.framing == Framing::chunked || head.body.length > 0;
    if (fields.expects_other && head.minor > 0) return Refusal::bad_expectation;
    head.expects_continue = fields.expects && head.minor > 0 && has_body;
    return read_upgrade(fields, head);
}

}  // namespace

HeadResult RequestParser::parse(std::string_view bytes, std::size_t seen) {
    const std::string_view lines = whole_lines(bytes, limits_.size);
    const bool full = bytes.size() >= limits_.size;
    const std::size_t skipped = leading_empty_lines(lines);
    const std::size_t line_end = lines.find('\n', skipped);
    if (line_end == std::string_view::npos) {
        if (!may_begin_request(bytes)) return refused(Refusal::bad_request_line);
        return full ? refused(Refusal::target_too_long) : HeadResult{};
    }
    if (lines.size() <= seen && !full) return {};  // no new line since
    if (const Verdict verdict = read_request_line(lines.substr(skipped, line_end - skipped), head_)) {
        return refused(*verdict);
    }
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
    if (const Verdict verdict = read_fields(head_)) return refused(*verdict);
    return {HeadState::complete, line_end + 1 + fields.consumed, {}};
}

}  // namespace palier::http
