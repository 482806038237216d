#include "http/h1_output.h"

#include "palier/http/h1_writer.h"

namespace palier::http {

bool is_named_away(const Field& field, const std::vector<Field>& fields) {
    switch (field.known) {
        case Name::host:
        case Name::content_length:
        case Name::transfer_encoding:
        case Name::cookie:
        case Name::upgrade:  // the writers have their own rule for it
            return false;
        default:
            if (is_forwarded_family(field.known)) return false;
    }
    bool named = false;
    for (const Field& connection : fields) {
        if (connection.known != Name::connection) continue;
        for_each_element(connection.value, [&](std::string_view option) {
            named |= std::equal(option.begin(), option.end(), field.name.begin(), field.name.end(),
                                [](char a, char b) { return to_lower(a) == to_lower(b); });
        });
    }
    return named;
}

std::size_t write_chunk_size(char* out, std::size_t size) {
    char* end = std::to_chars(out, out + 16, size, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    return static_cast<std::size_t>(end - out);
}

}  // namespace palier::http
