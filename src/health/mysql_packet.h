// MySQL's packets: a length of three bytes, a sequence number, a payload; and what payloads are made of. Numbers
// are little-endian. No I/O, nothing believed.
// Thread: control only. Owner: a dialogue; views die with the next packet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace palier::health {

/// Cuts a stream into packets. Holds one at a time.
class MysqlPacketReader {
  public:
    static constexpr std::size_t kMaxPayload = 64 * 1024;

    enum class Event : std::uint8_t {
        need_more,  // all of the input is used up
        packet,     // payload() and sequence(); the rest of the input belongs to the next
        too_long,   // the length is beyond kMaxPayload: the stream is of no more use
    };

    /// Takes from the front of `bytes` what belongs to the packet.
    [[nodiscard]] Event take(std::string_view& bytes);

    /// After Event::packet, until the next take().
    [[nodiscard]] std::string_view payload() const { return std::string_view(packet_).substr(kHeader); }
    [[nodiscard]] std::uint8_t sequence() const { return static_cast<std::uint8_t>(packet_[kHeader - 1]); }
    /// A packet has begun and not ended.
    [[nodiscard]] bool within_packet() const { return !complete_ && !packet_.empty(); }

  private:
    static constexpr std::size_t kHeader = 4;

    /// Moves bytes into packet_ until it has `size`; whether it has.
    [[nodiscard]] bool fill(std::string_view& bytes, std::size_t size);
    [[nodiscard]] std::size_t payload_size() const;

    std::string packet_;
    bool complete_ = false;
};

/// Reads a payload from its front. A read beyond the end gives zeros or nothing, and ok() is false from then on.
class MysqlFields {
  public:
    explicit MysqlFields(std::string_view payload) : rest_(payload) {}

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool ended() const { return ok_ && rest_.empty(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }

    /// An integer of one to eight bytes.
    [[nodiscard]] std::uint64_t integer(std::size_t size);
    [[nodiscard]] std::string_view bytes(std::uint64_t size);
    void skip(std::uint64_t size) { static_cast<void>(bytes(size)); }
    /// Text up to a NUL, which is required.
    [[nodiscard]] std::string_view text_to_nul();
    /// A length-encoded integer.
    [[nodiscard]] std::uint64_t length();
    /// A length-encoded text; none: NULL.
    [[nodiscard]] std::optional<std::string_view> text_or_null();

  private:
    std::string_view rest_;
    bool ok_ = true;
};

[[nodiscard]] std::string mysql_packet(std::uint8_t sequence, std::string_view payload);

/// An error packet, which a server may send in place of any other.
struct MysqlError {
    std::uint16_t number = 0;
    std::string_view state;  // SQLSTATE, five characters; "" before the handshake
    std::string_view text;
};

/// None where `payload` is something else.
[[nodiscard]] std::optional<MysqlError> read_mysql_error(std::string_view payload);
/// "error 1040: Too many connections", cleaned and bounded.
[[nodiscard]] std::string text_of(const MysqlError& error);

}  // namespace palier::health
