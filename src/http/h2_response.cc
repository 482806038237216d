// Responses out of the message model: what HTTP/2 says without Connection and its kind, in lower case.
#include "http/h1_output.h"
#include "http/h2_core.h"
#include "http/response_fields.h"

#include <array>
#include <charconv>

namespace palier::http {
namespace {

[[nodiscard]] std::uint8_t* bytes_of(std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

/// The field would tell of a handshake that RFC 8441 does without.
[[nodiscard]] bool is_of_handshake(const Field& field) {
    return field.known == Name::content_length || equals_icase(field.name, "sec-websocket-accept");
}

/// What a client sees. To an extended CONNECT any 2xx would say that the tunnel is open.
[[nodiscard]] std::uint16_t status_for(const ResponseHead& head, bool to_tunnel) {
    if (head.status == 101) return 200;
    return to_tunnel && head.status >= 200 && head.status < 300 ? 502 : head.status;
}

}  // namespace

void H2Session::Core::respond(std::int32_t id, const ResponseHead& head, BodyLength body, bool head_request,
                              std::string_view hsts, H2Source* source) {
    H2Stream* stream = find(id);
    if (stream == nullptr || stream->responded) return;
    stream->responded = true;
    stream->source = source;
    const bool switched = head.status == 101;
    begin_fields(status_for(head, stream->tunnel));
    add_sent(head, switched, !switched && keeps_length(head, head_request), hsts.empty());
    std::array<char, Output::kMaxDigits> digits{};
    const bool says_length = body.framing == Framing::length || body.framing == Framing::none;
    if (says_length && !switched && head.status != 204 && !keeps_length(head, head_request)) {
        const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), body.length).ptr;
        add_sent("content-length", {digits.data(), end});
    }
    add_sent_lines(hsts);
    nghttp2_data_provider provider{};
    provider.source.ptr = stream;
    provider.read_callback = read_source_callback;
    const int error =
        nghttp2_submit_response(session_, id, records_.sent_fields.data(), records_.sent_fields.size(),
                                source == nullptr ? nullptr : &provider);
    if (error != 0) reset(id, H2Error::internal_error, false);
}

void H2Session::Core::inform(std::int32_t id, const ResponseHead& head) {
    const H2Stream* stream = find(id);
    if (stream == nullptr || stream->responded || head.status == 101 || head.status >= 200) return;
    begin_fields(head.status);
    add_sent(head, false, false, true);
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, records_.sent_fields.data(),
                           records_.sent_fields.size(), nullptr);
}

/// nghttp2 copies names and values, names in lower case.
void H2Session::Core::begin_fields(std::uint16_t status) {
    std::to_chars(records_.status.data(), records_.status.data() + records_.status.size(), status);
    records_.sent_fields.clear();
    add_sent(":status", {records_.status.data(), records_.status.size()});
}

void H2Session::Core::add_sent(std::string_view name, std::string_view value) {
    records_.sent_fields.push_back(
        {bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
}

void H2Session::Core::add_sent(const ResponseHead& head, bool switched, bool with_length, bool with_hsts) {
    const FieldSurvey survey(head.fields);
    for (const Field& field : head.fields) {
        if (is_hop_by_hop(field.known) || field.known == Name::upgrade) continue;
        if (field.known == Name::content_length && !with_length) continue;
        if (field.known == Name::strict_transport_security && !with_hsts) continue;
        if (switched && is_of_handshake(field)) continue;
        if (survey.connection.names_fields && is_named_away(field, head.fields)) continue;
        add_sent(field.name, field.value);
    }
}

void H2Session::Core::add_sent_lines(std::string_view lines) {
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find("\r\n"));
        const std::size_t colon = line.find(": ");
        if (colon != std::string_view::npos) add_sent(line.substr(0, colon), line.substr(colon + 2));
        lines.remove_prefix(std::min(lines.size(), line.size() + 2));
    }
}

bool H2Session::Core::submit_trailers(const H2Stream& stream, std::string_view lines) {
    records_.sent_fields.clear();
    add_sent_lines(lines);
    if (records_.sent_fields.empty()) return false;
    return nghttp2_submit_trailer(session_, stream.id, records_.sent_fields.data(),
                                  records_.sent_fields.size()) == 0;
}

}  // namespace palier::http
