#include "palier/proxy/body_relay.h"

#include "palier/http/h1_writer.h"

#include <array>
#include <cstring>
#include <string_view>

namespace palier::proxy {
namespace {

constexpr std::string_view kLastChunk = "0\r\n";
constexpr std::string_view kCrlf = "\r\n";

}  // namespace

RelayedBody relay_body(http::BodyReader& reader, char* begin, char* end, http::Framing framing) {
    RelayedBody out;
    char* payload = begin;  // [payload, to) is what was taken out so far
    char* to = begin;
    std::string_view rest(begin, static_cast<std::size_t>(end - begin));
    for (;;) {
        const http::BodyReader::Step step = reader.next(rest);
        out.consumed += step.consumed;
        rest.remove_prefix(step.consumed);
        if (step.event == http::BodyReader::Event::error) {
            out.broken = true;
            return out;
        }
        if (!step.data.empty()) {
            if (to == payload) {
                payload = to = begin + (step.data.data() - begin);
            } else if (step.data.data() != to) {
                std::memmove(to, step.data.data(), step.data.size());
            }
            to += step.data.size();
        }
        if (step.event == http::BodyReader::Event::end) {
            out.ended = true;
            break;
        }
        if (step.event == http::BodyReader::Event::need_more) break;
    }
    if (framing == http::Framing::chunked && to != payload) {
        std::array<char, 20> line;
        const std::size_t length =
            http::write_chunk_size(line.data(), static_cast<std::size_t>(to - payload));
        payload -= length;
        std::memcpy(payload, line.data(), length);
        // What follows the payload in the input was chunked framing at least as long, or nothing.
        std::memcpy(to, kCrlf.data(), kCrlf.size());
        to += kCrlf.size();
    }
    out.begin = payload;
    out.end = to;
    return out;
}

std::size_t last_chunk_size(std::string_view trailers) {
    return kLastChunk.size() + trailers.size() + kCrlf.size();
}

char* write_last_chunk(char* out, std::string_view trailers) {
    std::memcpy(out, kLastChunk.data(), kLastChunk.size());
    out += kLastChunk.size();
    if (!trailers.empty()) std::memcpy(out, trailers.data(), trailers.size());
    out += trailers.size();
    std::memcpy(out, kCrlf.data(), kCrlf.size());
    return out + kCrlf.size();
}

void append_last_chunk(base::Buffer& out, std::string_view trailers) {
    char* end = write_last_chunk(out.reserve(last_chunk_size(trailers)), trailers);
    out.commit(static_cast<std::size_t>(end - (out.data() + out.size())));
}

}  // namespace palier::proxy
