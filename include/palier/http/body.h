// A body's bytes out of HTTP/1 framing, whatever the framing (RFC 9112 sections 6 and 7).
// Thread: worker only. Owner: the exchange, one for each direction.
#pragma once

#include "palier/http/message.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace palier::http {

/// Takes a body apart, piece by piece. No allocation, except for trailers. Chunks are read strictly: one to
/// sixteen hexadecimal digits, extensions of up to 256 visible characters (dropped), CRLF after size and
/// data.
class BodyReader {
  public:
    enum class Event : std::uint8_t {
        need_more,  // all of the input is used up
        data,       // `data` is the next piece of the body
        end,        // the body is complete; what was not consumed belongs to the next message
        error,      // the framing is broken: the connection must be closed
    };

    struct Step {
        Event event = Event::need_more;
        std::size_t consumed = 0;  // bytes of the input that this step used
        std::string_view data;     // a view into the input
    };

    BodyReader() = default;
    /// `max_trailer_bytes`: of a trailer section's lines; a longer one is an error.
    void start(BodyLength length, std::size_t max_trailer_bytes);

    /// The next step over `input`, to be called again with what it did not consume. A body of Framing::none,
    /// or of length 0, ends at once, even with no input; after `end` or `error` the answer stays the same.
    [[nodiscard]] Step next(std::string_view input);

    /// The peer closed its side: true if that is the body's proper end (Framing::until_close, or already
    /// ended).
    [[nodiscard]] bool finish();

    [[nodiscard]] bool ended() const { return state_ == State::ended; }
    [[nodiscard]] const BodyLength& length() const { return length_; }
    /// Bytes still to come of a body of Framing::length; 0 for any other.
    [[nodiscard]] std::uint64_t plain_remaining() const {
        return length_.framing == Framing::length && state_ == State::plain ? remaining_ : 0;
    }
    /// `size` bytes of plain_remaining() went their way without passing through next().
    void pass(std::uint64_t size);

    /// Bytes of body given out so far.
    [[nodiscard]] std::uint64_t received() const { return received_; }
    /// The trailer section's field lines as they will be written on ("Name: value\r\n" each, checked, without
    /// those that RFC 9110 section 6.5.1 forbids there); "" for none. Valid from `end` to the next start().
    [[nodiscard]] std::string_view trailers() const;

  private:
    enum class State : std::uint8_t {
        plain,       // length or until_close
        size_first,  // before a chunk's size
        size,
        extension,
        size_lf,  // after the CR of a size line
        chunk,    // within its data
        chunk_cr,
        chunk_lf,
        trailer_first,  // before the first byte after the last chunk's line
        final_lf,       // after the CR of an empty trailer section
        trailer,        // within a trailer section, which is kept in trailers_
        ended,
        failed,
    };

    [[nodiscard]] Step take_data(std::string_view input, std::size_t consumed);
    /// One byte of a chunk's framing; false where it is wrong.
    [[nodiscard]] bool take_framing(char c);
    [[nodiscard]] bool take_size(char c);
    /// As much of the trailer section as `input` has, up to its end; false where it is wrong.
    [[nodiscard]] bool take_trailer(std::string_view input, std::size_t& consumed);
    [[nodiscard]] bool finish_trailer();

    BodyLength length_;
    std::uint64_t remaining_ = 0;  // of the body, or of the chunk
    std::uint64_t received_ = 0;
    std::unique_ptr<std::string> trailers_;
    std::uint32_t max_trailer_bytes_ = 0;
    std::uint16_t counted_ = 0;  // digits of a size, then bytes of its extension
    State state_ = State::ended;
};

}  // namespace palier::http
