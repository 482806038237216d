#include "http/head_bytes.h"

#include "http/ascii.h"

#include <cstring>
#include <limits>

namespace palier::http {
namespace {

/// Plain digits up to 2^63-1, beyond which others would see a negative number.
[[nodiscard]] std::expected<std::uint64_t, Refusal> parse_length(std::string_view digits) {
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (digits.empty()) return std::unexpected(Refusal::bad_content_length);
    std::uint64_t length = 0;
    for (const char c : digits) {
        if (!is_digit(c)) return std::unexpected(Refusal::bad_content_length);
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (length > (kMax - digit) / 10) return std::unexpected(Refusal::bad_content_length);
        length = length * 10 + digit;
    }
    return length;
}

}  // namespace

std::string_view whole_lines(std::string_view bytes, std::size_t limit) {
    bytes = bytes.substr(0, limit);
    if (bytes.empty()) return {};
    const void* last = memrchr(bytes.data(), '\n', bytes.size());
    if (last == nullptr) return bytes.substr(0, 0);
    return {bytes.data(), static_cast<const char*>(last) + 1};
}

std::expected<BodyLength, Refusal> body_length_of(const FramingFields& fields, std::uint8_t minor) {
    if (fields.encodings > 0) {
        if (fields.lengths > 0) return std::unexpected(Refusal::length_and_encoding);
        if (minor == 0 || fields.encodings > 1 || !equals_icase(fields.encoding_value, "chunked")) {
            return std::unexpected(Refusal::bad_transfer_encoding);
        }
        return BodyLength{Framing::chunked, 0};
    }
    if (fields.lengths == 0) return BodyLength{};
    if (fields.lengths > 1) return std::unexpected(Refusal::bad_content_length);
    const auto length = parse_length(fields.length_value);
    if (!length) return std::unexpected(length.error());
    return BodyLength{Framing::length, *length};
}

void ConnectionOptions::note(std::string_view value) {
    for_each_element(value, [this](std::string_view option) {
        if (equals_icase(option, "close")) {
            close = true;
        } else if (equals_icase(option, "keep-alive")) {
            keep_alive = true;
        } else if (equals_icase(option, "upgrade")) {
            upgrade = true;
        } else if (!equals_icase(option, "te")) {
            names_fields = true;
        }
    });
}

}  // namespace palier::http
