// Requests: heads are judged alike however they are cut, what is written of an accepted one is accepted again
// and frames the same body, and bodies are read alike however they are cut.
#include "palier/http/h1_writer.h"
#include "palier/http/path.h"
#include "split.h"

using namespace palier::http;
using namespace palier::fuzz;

namespace {

constexpr ClientView kClient{"192.0.2.7", "https", "443", "fuzz", false, "default"};

std::string describe(const HeadResult& result, const RequestHead& head) {
    if (result.state == HeadState::incomplete) return "incomplete";
    if (result.state == HeadState::refused) return std::string(text_of(result.refusal));
    std::string text = std::to_string(result.consumed) + " ";
    text.append(head.method_token).append(" ").append(head.path).append(" ").append(head.authority);
    text.append(" ").append(head.host).append(" ").append(head.upgrade);
    text.append(" ").append(std::to_string(static_cast<int>(head.body.framing)));
    text.append(" ").append(std::to_string(head.body.length));
    text.push_back(head.keep_alive ? 'k' : '-');
    text.push_back(head.expects_continue ? 'e' : '-');
    text.push_back(head.minor == 1 ? '1' : '0');
    return text.append("\n").append(palier::fuzz::describe(head.fields));
}

std::string parse_in_pieces(const Input& input) {
    RequestParser parser(input.limits());
    std::string outcome = "incomplete";
    std::size_t seen = 0;
    for (const std::size_t end : input.cuts()) {
        const ExactBytes piece(input.message.substr(0, end));
        const HeadResult result = parser.parse(piece.view(), seen);
        outcome = describe(result, parser.head());
        if (result.state != HeadState::incomplete) break;
        seen = end;
    }
    return outcome;
}

/// What a backend would see of `head`.
void check_written(const RequestHead& head, bool trusted) {
    std::string storage;
    const CanonicalPath path = canonical_path(head.path, storage);
    if (!path.ok) return;
    palier::base::Buffer out;
    ClientView client = kClient;
    client.trusted = trusted;
    write_request_head(out, head, path.forward, head.body, client);

    RequestParser parser({.size = out.size() + 1, .fields = head.fields.size() + 16});
    const HeadResult result = parser.parse(out.view(), 0);
    PALIER_ASSERT(result.state == HeadState::complete);
    PALIER_ASSERT(result.consumed == out.size());
    const RequestHead& again = parser.head();
    PALIER_ASSERT(again.minor == 1);
    PALIER_ASSERT(again.method_token == head.method_token);
    PALIER_ASSERT(again.path == path.forward);
    PALIER_ASSERT(again.authority == (head.authority.empty() ? kClient.default_host : head.authority));
    PALIER_ASSERT(again.body.framing == head.body.framing && again.body.length == head.body.length);
    PALIER_ASSERT(again.keep_alive);
    PALIER_ASSERT(again.expects_continue == head.expects_continue);
    PALIER_ASSERT(again.wants_upgrade == head.wants_upgrade && again.upgrade == head.upgrade);
    for (const Field& field : again.fields)
        PALIER_ASSERT(is_canonical_spelling(field.known, field.name));

    const CanonicalPath forwarded = canonical_path(again.path, storage);
    PALIER_ASSERT(forwarded.ok && !forwarded.forward_changed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Input input(data, size);
    const ExactBytes message(input.message);
    RequestParser parser(input.limits());
    const HeadResult whole = parser.parse(message.view(), 0);
    PALIER_ASSERT(describe(whole, parser.head()) == parse_in_pieces(input));
    if (whole.state != HeadState::complete) return 0;

    PALIER_ASSERT(whole.consumed <= input.message.size());
    check_clean(parser.head().target);
    for (const Field& field : parser.head().fields) {
        check_clean(field.name);
        check_clean(field.value);
    }
    check_written(parser.head(), (input.options & 2) != 0);
    check_body(parser.head().body, message.view().substr(whole.consumed));
    return 0;
}
