// Delivers a message to a parser whole, cut in two at every place, and byte by byte; all must give one
// outcome.
#pragma once

#include "catch.h"
#include "palier/http/h1_parser.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace palier::http::test {

/// Bytes on the heap in a block of exactly their size, so that AddressSanitizer sees a read beyond them.
class ExactBytes {
  public:
    explicit ExactBytes(std::string_view bytes) : memory_(new char[bytes.size()]), size_(bytes.size()) {
        if (size_ > 0) std::memcpy(memory_.get(), bytes.data(), size_);
    }
    [[nodiscard]] std::string_view view() const { return {memory_.get(), size_}; }

  private:
    std::unique_ptr<char[]> memory_;
    std::size_t size_;
};

inline std::string describe(BodyLength body) {
    switch (body.framing) {
        case Framing::none:
            return "none";
        case Framing::length:
            return "length:" + std::to_string(body.length);
        case Framing::chunked:
            return "chunked";
        case Framing::until_close:
            return "until-close";
    }
    return "?";
}

inline std::string describe(const std::vector<Field>& fields) {
    std::string text;
    for (const Field& field : fields) {
        text.append("[").append(field.name).append("=").append(field.value).append("]");
    }
    return text;
}

inline std::string describe(const RequestHead& head) {
    std::string text;
    text.append(head.method_token).append(" ").append(head.path);
    text.append(" 1.").append(std::to_string(head.minor));
    text.append(" authority=").append(head.authority).append(" host=").append(head.host);
    text.append(" body=").append(describe(head.body));
    if (head.keep_alive) text.append(" persists");
    if (head.expects_continue) text.append(" expects");
    if (head.wants_upgrade) text.append(" upgrade=").append(head.upgrade);
    return text.append(" ").append(describe(head.fields));
}

inline std::string describe(const ResponseHead& head) {
    std::string text = std::to_string(head.status) + " '";
    text.append(head.reason).append("' 1.").append(std::to_string(head.minor));
    text.append(" body=").append(describe(head.body));
    if (head.keep_alive) text.append(" persists");
    return text.append(" ").append(describe(head.fields));
}

/// "incomplete", "refused: why", or "N bytes: head".
template <typename Parser>
std::string describe(const HeadResult& result, const Parser& parser) {
    switch (result.state) {
        case HeadState::incomplete:
            return "incomplete";
        case HeadState::refused:
            return "refused: " + std::string(text_of(result.refusal));
        case HeadState::complete:
            return std::to_string(result.consumed) + " bytes: " + describe(parser.head());
    }
    return "?";
}

/// The outcome of bytes that arrive in pieces which end at the given places, in order.
template <typename Parser, typename Parse, typename Ends>
std::string outcome_of(Parser& parser, Parse parse, std::string_view bytes, const Ends& ends) {
    std::size_t seen = 0;
    std::string outcome = "incomplete";
    for (const std::size_t end : ends) {
        const ExactBytes piece(bytes.substr(0, end));
        const HeadResult result = parse(parser, piece.view(), seen);
        outcome = describe(result, parser);
        if (result.state != HeadState::incomplete) break;
        seen = end;
    }
    return outcome;
}

template <typename Parser, typename Parse>
std::string every_way(Parser parser, Parse parse, std::string_view bytes) {
    const std::string whole = outcome_of(parser, parse, bytes, std::vector<std::size_t>{bytes.size()});
    std::vector<std::size_t> all;
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        INFO("cut at " << cut);
        CHECK(outcome_of(parser, parse, bytes, std::vector<std::size_t>{cut, bytes.size()}) == whole);
        all.push_back(cut);
    }
    all.push_back(bytes.size());
    INFO("byte by byte");
    CHECK(outcome_of(parser, parse, bytes, all) == whole);
    return whole;
}

inline std::string request(std::string_view bytes, HeadLimits limits = {}) {
    INFO(bytes);
    return every_way(
        RequestParser(limits),
        [](RequestParser& parser, std::string_view piece, std::size_t seen) {
            return parser.parse(piece, seen);
        },
        bytes);
}

struct Asked {
    Method method = Method::get;
    bool upgrade = false;
};

inline std::string response(std::string_view bytes, Asked asked = {}, HeadLimits limits = {}) {
    INFO(bytes);
    return every_way(
        ResponseParser(limits),
        [asked](ResponseParser& parser, std::string_view piece, std::size_t seen) {
            return parser.parse(piece, seen, asked.method, asked.upgrade);
        },
        bytes);
}

inline std::string refusal(Refusal refusal) {
    return "refused: " + std::string(text_of(refusal));
}

}  // namespace palier::http::test
