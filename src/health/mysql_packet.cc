#include "health/mysql_packet.h"

#include "palier/base/utf8.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::health {
namespace {

constexpr std::size_t kMaxErrorText = 160;
constexpr std::size_t kSqlState = 5;

}  // namespace

bool MysqlPacketReader::fill(std::string_view& bytes, std::size_t size) {
    const std::size_t wanted = std::min(size - packet_.size(), bytes.size());
    packet_.append(bytes.substr(0, wanted));
    bytes.remove_prefix(wanted);
    return packet_.size() == size;
}

std::size_t MysqlPacketReader::payload_size() const {
    return static_cast<std::size_t>(MysqlFields(packet_).integer(kHeader - 1));
}

MysqlPacketReader::Event MysqlPacketReader::take(std::string_view& bytes) {
    if (complete_) {
        packet_.clear();
        complete_ = false;
    }
    if (packet_.size() < kHeader && !fill(bytes, kHeader)) return Event::need_more;
    if (payload_size() > kMaxPayload) return Event::too_long;
    if (!fill(bytes, kHeader + payload_size())) return Event::need_more;
    complete_ = true;
    return Event::packet;
}

std::string_view MysqlFields::bytes(std::uint64_t size) {
    if (size > rest_.size()) {
        ok_ = false;
        rest_ = {};
        return {};
    }
    const std::string_view found = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(found.size());
    return found;
}

std::uint64_t MysqlFields::integer(std::size_t size) {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (const char c : bytes(size)) {
        value |= std::uint64_t{static_cast<unsigned char>(c)} << shift;
        shift += 8;
    }
    return value;
}

std::string_view MysqlFields::text_to_nul() {
    const std::size_t end = rest_.find('\0');
    const std::string_view text = bytes(end == std::string_view::npos ? rest_.size() + 1 : end);
    skip(1);
    return text;
}

std::uint64_t MysqlFields::length() {
    const std::uint64_t first = integer(1);
    if (first < 0xfb) return first;
    if (first == 0xfc) return integer(2);
    if (first == 0xfd) return integer(3);
    if (first == 0xfe) return integer(8);
    ok_ = false;  // NULL, or the mark of an error
    rest_ = {};
    return 0;
}

std::optional<std::string_view> MysqlFields::text_or_null() {
    if (rest_.starts_with('\xfb')) {
        skip(1);
        return {};
    }
    return bytes(length());
}

std::string mysql_packet(std::uint8_t sequence, std::string_view payload) {
    std::string packet;
    packet.reserve(payload.size() + 4);
    for (unsigned shift = 0; shift < 24; shift += 8)
        packet.push_back(static_cast<char>(payload.size() >> shift & 0xff));
    packet.push_back(static_cast<char>(sequence));
    return packet.append(payload);
}

std::optional<MysqlError> read_mysql_error(std::string_view payload) {
    MysqlFields fields(payload);
    if (fields.integer(1) != 0xff) return {};
    MysqlError error;
    error.number = static_cast<std::uint16_t>(fields.integer(2));
    if (!fields.ok()) return {};
    if (fields.rest().starts_with('#') && fields.rest().size() > kSqlState) {
        fields.skip(1);
        error.state = fields.bytes(kSqlState);
    }
    error.text = fields.rest();
    return error;
}

std::string text_of(const MysqlError& error) {
    const std::string text = base::printable(error.text, kMaxErrorText);
    return text.empty() ? fmt::format("error {}", error.number)
                        : fmt::format("error {}: {}", error.number, text);
}

}  // namespace palier::health
