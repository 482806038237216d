#include "tls/der.h"

namespace palier::tls {
namespace {

constexpr std::size_t kMostLengthBytes = 3;  // 16 MiB: more than any file that is read

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint8_t>(bytes[at]);
}

}  // namespace

std::optional<DerValue> DerReader::next() {
    if (rest_.size() < 2) return std::nullopt;
    const std::uint8_t tag = byte_at(rest_, 0);
    if ((tag & 0x1f) == 0x1f) return std::nullopt;
    std::size_t length = byte_at(rest_, 1);
    std::size_t header = 2;
    if (length >= 0x80) {
        const std::size_t count = length & 0x7f;
        if (count == 0 || count > kMostLengthBytes || rest_.size() < header + count) return std::nullopt;
        length = 0;
        for (std::size_t i = 0; i < count; ++i)
            length = length << 8 | byte_at(rest_, header + i);
        if (length < 0x80 || byte_at(rest_, header) == 0) return std::nullopt;
        header += count;
    }
    if (length > rest_.size() - header) return std::nullopt;
    const DerValue value{tag, rest_.substr(header, length)};
    rest_.remove_prefix(header + length);
    return value;
}

std::optional<std::string_view> DerReader::next(std::uint8_t tag) {
    const std::string_view before = rest_;
    const auto value = next();
    if (value && value->tag == tag) return value->content;
    rest_ = before;
    return std::nullopt;
}

}  // namespace palier::tls
