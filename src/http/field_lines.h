// The field section of a head or of trailers: bytes in, fields out, by llhttp and a check of what it lets
// pass. Thread: any; no state between calls. Used by the parsers of heads and by BodyReader only.
#pragma once

#include "palier/http/message.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace palier::http {

enum class FieldsState : std::uint8_t { incomplete, complete, bad, too_many };

struct FieldsResult {
    FieldsState state = FieldsState::incomplete;
    std::size_t consumed = 0;  // with the empty line, when complete
};

/// Parses whole lines: `lines` is empty or ends with LF. Fills `fields` (views into `lines`, names
/// recognised), of which there may be `max_fields`. The first offence in the order of the bytes decides the
/// result, so that it is the same however the bytes were cut.
[[nodiscard]] FieldsResult parse_field_lines(std::string_view lines, std::size_t max_fields,
                                             std::vector<Field>& fields);

}  // namespace palier::http
