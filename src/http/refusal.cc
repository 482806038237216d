#include "palier/http/h1_parser.h"

namespace palier::http {

std::uint16_t status_of(Refusal refusal) {
    switch (refusal) {
        case Refusal::bad_method:
            return 405;
        case Refusal::target_too_long:
            return 414;
        case Refusal::bad_expectation:
            return 417;
        case Refusal::head_too_large:
        case Refusal::too_many_fields:
            return 431;
        case Refusal::bad_version:
            return 505;
        default:
            return 400;
    }
}

std::string_view text_of(Refusal refusal) {
    switch (refusal) {
        case Refusal::bad_request_line:
            return "malformed request line";
        case Refusal::bad_method:
            return "CONNECT is not served";
        case Refusal::bad_target:
            return "invalid request target";
        case Refusal::target_too_long:
            return "request line too long";
        case Refusal::bad_version:
            return "unsupported HTTP version";
        case Refusal::bad_status_line:
            return "malformed status line";
        case Refusal::bad_field:
            return "malformed header field";
        case Refusal::head_too_large:
            return "head too large";
        case Refusal::too_many_fields:
            return "too many header fields";
        case Refusal::missing_host:
            return "no Host field";
        case Refusal::several_hosts:
            return "several Host fields";
        case Refusal::bad_host:
            return "invalid host";
        case Refusal::bad_content_length:
            return "invalid or repeated Content-Length";
        case Refusal::length_and_encoding:
            return "Content-Length together with Transfer-Encoding";
        case Refusal::bad_transfer_encoding:
            return "invalid Transfer-Encoding";
        case Refusal::bad_upgrade:
            return "upgrade with a body, or to several protocols";
        case Refusal::bad_expectation:
            return "unknown expectation";
        case Refusal::unexpected_switch:
            return "protocol switch that nobody asked for";
    }
    return "refused";
}

}  // namespace palier::http
