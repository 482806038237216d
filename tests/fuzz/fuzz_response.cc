// Responses: heads are judged alike however they are cut, what is written of an accepted one is accepted
// again and frames the same body, and bodies are read alike however they are cut.
#include "palier/http/h1_writer.h"
#include "split.h"

using namespace palier::http;
using namespace palier::fuzz;

namespace {

struct Asked {
    Method method = Method::get;
    bool upgrade = false;
};

std::string describe(const HeadResult& result, const ResponseHead& head) {
    if (result.state == HeadState::incomplete) return "incomplete";
    if (result.state == HeadState::refused) return std::string(text_of(result.refusal));
    std::string text = std::to_string(result.consumed) + " " + std::to_string(head.status) + " ";
    text.append(head.reason);
    text.append(" ").append(std::to_string(static_cast<int>(head.body.framing)));
    text.append(" ").append(std::to_string(head.body.length));
    text.push_back(head.keep_alive ? 'k' : '-');
    text.push_back(head.minor == 1 ? '1' : '0');
    return text.append("\n").append(palier::fuzz::describe(head.fields));
}

std::string parse_in_pieces(const Input& input, Asked asked) {
    ResponseParser parser(input.limits());
    std::string outcome = "incomplete";
    std::size_t seen = 0;
    for (const std::size_t end : input.cuts()) {
        const ExactBytes piece(input.message.substr(0, end));
        const HeadResult result = parser.parse(piece.view(), seen, asked.method, asked.upgrade);
        outcome = describe(result, parser.head());
        if (result.state != HeadState::incomplete) break;
        seen = end;
    }
    return outcome;
}

/// What a client would see of `head`.
void check_written(const ResponseHead& head, Asked asked, bool keep_alive) {
    palier::base::Buffer out;
    keep_alive = keep_alive && head.body.framing != Framing::until_close;
    write_response_head(out, head,
                        {.body = head.body,
                         .minor = 1,
                         .keep_alive = keep_alive,
                         .head_request = asked.method == Method::head});

    ResponseParser parser({.size = out.size() + 1, .fields = head.fields.size() + 16});
    const HeadResult result = parser.parse(out.view(), 0, asked.method, asked.upgrade);
    PALIER_ASSERT(result.state == HeadState::complete);
    PALIER_ASSERT(result.consumed == out.size());
    const ResponseHead& again = parser.head();
    PALIER_ASSERT(again.minor == 1);
    PALIER_ASSERT(again.status == head.status);
    PALIER_ASSERT(again.reason == head.reason);
    PALIER_ASSERT(again.body.framing == head.body.framing && again.body.length == head.body.length);
    PALIER_ASSERT(again.keep_alive == keep_alive || head.status < 200);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Input input(data, size);
    const Asked asked{.method = (input.options & 2) != 0 ? Method::head : Method::get,
                      .upgrade = (input.options & 4) != 0};
    const ExactBytes message(input.message);
    ResponseParser parser(input.limits());
    const HeadResult whole = parser.parse(message.view(), 0, asked.method, asked.upgrade);
    PALIER_ASSERT(describe(whole, parser.head()) == parse_in_pieces(input, asked));
    if (whole.state != HeadState::complete) return 0;

    PALIER_ASSERT(whole.consumed <= input.message.size());
    check_clean(parser.head().reason);
    for (const Field& field : parser.head().fields) {
        check_clean(field.name);
        check_clean(field.value);
    }
    check_written(parser.head(), asked, (input.options & 8) != 0);
    check_body(parser.head().body, message.view().substr(whole.consumed));
    return 0;
}
