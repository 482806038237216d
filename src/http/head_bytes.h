// What parsers of requests and responses share: which bytes of an incomplete head to look at, and what the
// fields of a finished one say about framing and connection.
// Thread: any; pure.
#pragma once

#include "palier/http/h1_parser.h"
#include "palier/http/message.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

namespace palier::http {

/// The whole lines among the first `limit` bytes: "" or ending with LF. A parser looks at nothing else (but
/// for a first glance at the start line), so that its verdict does not depend on how the bytes were cut.
[[nodiscard]] std::string_view whole_lines(std::string_view bytes, std::size_t limit);

[[nodiscard]] inline HeadResult refused(Refusal refusal) {
    return {HeadState::refused, 0, refusal};
}

/// Content-Length and Transfer-Encoding of a message (RFC 9112 section 6).
struct FramingFields {
    unsigned lengths = 0;  // how many fields of each
    unsigned encodings = 0;
    std::string_view length_value;  // the last one's
    std::string_view encoding_value;

    void note(const Field& field) {
        if (field.known == Name::content_length) {
            ++lengths;
            length_value = field.value;
        } else {
            ++encodings;
            encoding_value = field.value;
        }
    }
};

/// Framing::none where neither field is there. Refused: both fields, several of one (identical ones too), a
/// length that is not plain digits or is beyond 2^63-1, any coding but one "chunked", any coding in HTTP/1.0.
[[nodiscard]] std::expected<BodyLength, Refusal> body_length_of(const FramingFields& fields,
                                                                std::uint8_t minor);

/// What the Connection fields of a message say (RFC 9110 section 7.6.1).
struct ConnectionOptions {
    bool close = false;
    bool keep_alive = false;
    bool upgrade = false;
    bool names_fields = false;  // options other than these and TE: names of fields that end here

    void note(std::string_view value);
    /// Whether the connection persists, for HTTP/1.`minor` (RFC 9112 section 9.3).
    [[nodiscard]] bool persists(std::uint8_t minor) const { return !close && (minor > 0 || keep_alive); }
};

}  // namespace palier::http
