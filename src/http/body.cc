#include "palier/http/body.h"

#include "http/ascii.h"
#include "http/trailer.h"
#include "palier/base/assert.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace palier::http {
namespace {

constexpr std::uint16_t kMaxSizeDigits = 16;
constexpr std::uint16_t kMaxExtension = 256;  // bytes for each chunk, as there is no use for them

}  // namespace

void BodyReader::start(BodyLength length, std::size_t max_trailer_bytes) {
    length_ = length;
    remaining_ =
        length.framing == Framing::length ? length.length : std::numeric_limits<std::uint64_t>::max();
    received_ = 0;
    trailers_.reset();
    max_trailer_bytes_ = static_cast<std::uint32_t>(
        std::min<std::size_t>(max_trailer_bytes, std::numeric_limits<std::uint32_t>::max()));
    counted_ = 0;
    switch (length.framing) {
        case Framing::none:
            state_ = State::ended;
            break;
        case Framing::length:
            state_ = length.length == 0 ? State::ended : State::plain;
            break;
        case Framing::chunked:
            state_ = State::size_first;
            break;
        case Framing::until_close:
            state_ = State::plain;
            break;
    }
}

BodyReader::Step BodyReader::next(std::string_view input) {
    std::size_t consumed = 0;
    while (true) {
        if (state_ == State::ended) return {Event::end, consumed, {}};
        if (state_ == State::failed) return {Event::error, consumed, {}};
        if (consumed == input.size()) return {Event::need_more, consumed, {}};
        if (state_ == State::plain || state_ == State::chunk) return take_data(input, consumed);
        const bool good =
            state_ == State::trailer ? take_trailer(input, consumed) : take_framing(input[consumed++]);
        if (!good) state_ = State::failed;
    }
}

BodyReader::Step BodyReader::take_data(std::string_view input, std::size_t consumed) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(input.size() - consumed, remaining_));
    received_ += size;
    if (length_.framing != Framing::until_close) {
        remaining_ -= size;
        if (remaining_ == 0) state_ = state_ == State::chunk ? State::chunk_cr : State::ended;
    }
    return {Event::data, consumed + size, input.substr(consumed, size)};
}

bool BodyReader::take_size(char c) {
    const int digit = hex_value(c);
    if (digit >= 0) {
        constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (state_ == State::size_first) {
            remaining_ = 0;
            counted_ = 0;
            state_ = State::size;
        }
        if (++counted_ > kMaxSizeDigits || remaining_ > kMax / 16) return false;
        remaining_ = remaining_ * 16 + static_cast<unsigned>(digit);
        return true;
    }
    if (state_ == State::size_first) return false;
    if (c == ';') {
        counted_ = 1;
        state_ = State::extension;
        return true;
    }
    state_ = State::size_lf;
    return c == '\r';
}

bool BodyReader::take_framing(char c) {
    switch (state_) {
        case State::size_first:
        case State::size:
            return take_size(c);
        case State::extension:
            if (c == '\r') {
                state_ = State::size_lf;
                return true;
            }
            return ++counted_ <= kMaxExtension && static_cast<unsigned char>(c) < 0x80 &&
                   (c == '\t' || !is(kControl, c));
        case State::size_lf:
            state_ = remaining_ > 0 ? State::chunk : State::trailer_first;
            return c == '\n';
        case State::chunk_cr:
            state_ = State::chunk_lf;
            return c == '\r';
        case State::chunk_lf:
            state_ = State::size_first;
            return c == '\n';
        case State::trailer_first:
            if (c == '\r') {
                state_ = State::final_lf;
                return true;
            }
            if (max_trailer_bytes_ == 0 || !is(kToken, c)) return false;
            trailers_ = std::make_unique<std::string>(1, c);
            state_ = State::trailer;
            return true;
        case State::final_lf:
            state_ = State::ended;
            return c == '\n';
        default:
            return false;
    }
}

bool BodyReader::take_trailer(std::string_view input, std::size_t& consumed) {
    const std::string_view rest = input.substr(consumed);
    const std::size_t line_end = rest.find('\n');
    const std::string_view piece = line_end == std::string_view::npos ? rest : rest.substr(0, line_end + 1);
    // The empty line that ends the section does not count.
    if (trailers_->size() + piece.size() > std::size_t{max_trailer_bytes_} + 2) return false;
    trailers_->append(piece);
    consumed += piece.size();
    if (line_end == std::string_view::npos) return true;
    if (!trailers_->ends_with("\r\n")) return false;
    return !trailers_->ends_with("\n\r\n") || finish_trailer();
}

bool BodyReader::finish_trailer() {
    std::string rewritten;
    if (!rewrite_trailers(*trailers_, rewritten)) return false;
    *trailers_ = std::move(rewritten);
    state_ = State::ended;
    return true;
}

void BodyReader::pass(std::uint64_t size) {
    PALIER_ASSERT(size <= plain_remaining());
    remaining_ -= size;
    received_ += size;
    if (remaining_ == 0) state_ = State::ended;
}

bool BodyReader::finish() {
    if (state_ == State::plain && length_.framing == Framing::until_close) state_ = State::ended;
    return state_ == State::ended;
}

std::string_view BodyReader::trailers() const {
    if (state_ != State::ended || trailers_ == nullptr) return {};
    return *trailers_;
}

}  // namespace palier::http
