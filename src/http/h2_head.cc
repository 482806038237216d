#include "http/h2_head.h"

#include "http/ascii.h"
#include "http/authority.h"
#include "http/head_bytes.h"

#include <algorithm>
#include <string_view>

namespace palier::http {
namespace {

using State = H2HeadResult::State;

constexpr H2HeadResult kMalformed{State::malformed, {}};

[[nodiscard]] H2HeadResult refuse(Refusal refusal) {
    return {State::refused, refusal};
}

/// The first fields and the ones that a rule of HTTP/2 names.
struct Fields {
    std::string_view host;
    FramingFields framing;
    bool has_host = false;
    bool expects = false;
    bool expects_other = false;
    bool connection_specific = false;  // section 8.2.2
    bool repeated_host = false;

    void note(const Field& field) {
        switch (field.known) {
            case Name::host:
                repeated_host |= has_host;
                has_host = true;
                host = field.value;
                break;
            case Name::content_length:
                framing.note(field);
                break;
            case Name::expect:
                expects = true;
                expects_other |= !equals_icase(field.value, "100-continue");
                break;
            case Name::connection:
            case Name::keep_alive:
            case Name::proxy_connection:
            case Name::transfer_encoding:
            case Name::upgrade:
                connection_specific = true;
                break;
            case Name::te:
                connection_specific |= !equals_icase(field.value, "trailers");
                break;
            default:
                break;
        }
    }
};

/// As RequestParser has it of a target in origin-form or asterisk-form; the absolute-form is not for :path.
[[nodiscard]] bool read_target(std::string_view path, RequestHead& head) {
    const bool clean =
        std::none_of(path.begin(), path.end(), [](char c) { return c == ' ' || is(kControl, c); });
    if (!clean || path.empty()) return false;
    if (path.front() != '/' && (path != "*" || head.method != Method::options)) return false;
    head.target = head.path = path;
    return true;
}

/// Section 8.3.1: :authority, or else Host; both must be valid and say the same.
[[nodiscard]] bool read_authority(const H2Block& block, const Fields& fields, RequestHead& head) {
    if (fields.repeated_host) return false;
    head.authority = block.has(H2Pseudo::authority) ? block.text(H2Pseudo::authority) : fields.host;
    const auto host = host_of(head.authority);
    if (!host) return false;
    head.host = *host;
    if (!fields.has_host || head.authority.data() == fields.host.data()) return true;
    return std::equal(head.authority.begin(), head.authority.end(), fields.host.begin(), fields.host.end(),
                      [](char a, char b) { return to_lower(a) == to_lower(b); });
}

[[nodiscard]] bool read_body(const Fields& fields, bool ended, RequestHead& head) {
    const auto length = body_length_of(fields.framing, 1);
    if (!length) return false;
    head.body = *length;
    if (head.body.framing == Framing::length) return !ended || head.body.length == 0;
    if (!ended) head.body = {Framing::chunked, 0};
    return true;
}

[[nodiscard]] bool read_scheme(const H2Block& block) {
    const std::string_view scheme = block.text(H2Pseudo::scheme);
    return equals_icase(scheme, "https") || equals_icase(scheme, "http");
}

/// Whether what is common to all requests but a plain CONNECT holds.
[[nodiscard]] bool read_rest(const H2Block& block, const Fields& fields, RequestHead& head) {
    return !fields.connection_specific && read_scheme(block) &&
           read_target(block.text(H2Pseudo::path), head) && read_authority(block, fields, head) &&
           read_body(fields, block.ends_stream(), head);
}

/// RFC 8441 section 5: what HTTP/1.1 has as a GET with an upgrade. Its bytes are not a body, so it can have
/// no length.
[[nodiscard]] H2HeadResult read_extended_connect(const H2Block& block, RequestHead& head) {
    if (head.body.framing == Framing::length) return kMalformed;
    if (block.text(H2Pseudo::protocol) != "websocket") return refuse(Refusal::bad_method);
    head.method = Method::get;
    head.method_token = "GET";
    head.body = {};
    head.wants_upgrade = true;
    head.upgrade = "websocket";
    return {};
}

}  // namespace

H2HeadResult read_h2_head(const H2Block& block, RequestHead& head) {
    head.method_token = block.text(H2Pseudo::method);
    head.method = method_of(head.method_token);
    head.minor = 1;
    head.keep_alive = true;
    head.expects_continue = head.wants_upgrade = false;
    head.upgrade = {};
    head.fields.clear();
    Fields fields;
    block.for_each_field([&](const Field& field) {
        if (field.known != Name::other) fields.note(field);
        head.fields.push_back(field);
    });
    const bool connect = head.method == Method::connect;
    if (connect && !block.has(H2Pseudo::protocol)) {
        return fields.connection_specific ? kMalformed : refuse(Refusal::bad_method);
    }
    if (!read_rest(block, fields, head)) return kMalformed;
    if (fields.expects_other) return refuse(Refusal::bad_expectation);
    if (connect) return read_extended_connect(block, head);
    const bool has_body = head.body.framing == Framing::chunked || head.body.length > 0;
    head.expects_continue = fields.expects && has_body;
    return {};
}

}  // namespace palier::http
