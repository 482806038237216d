// DerReader: walks DER (X.690 section 10) value by value. It believes nothing: lengths are definite, minimal
// and inside what there is, tags have one byte. Views look into the given bytes.
// Thread: values, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace palier::tls {

namespace der {
inline constexpr std::uint8_t kBoolean = 0x01;
inline constexpr std::uint8_t kInteger = 0x02;
inline constexpr std::uint8_t kBitString = 0x03;
inline constexpr std::uint8_t kOctetString = 0x04;
inline constexpr std::uint8_t kObject = 0x06;
inline constexpr std::uint8_t kUtf8String = 0x0c;
inline constexpr std::uint8_t kPrintableString = 0x13;
inline constexpr std::uint8_t kT61String = 0x14;
inline constexpr std::uint8_t kIa5String = 0x16;
inline constexpr std::uint8_t kUtcTime = 0x17;
inline constexpr std::uint8_t kGeneralizedTime = 0x18;
inline constexpr std::uint8_t kSequence = 0x30;
inline constexpr std::uint8_t kSet = 0x31;

/// [number] of a context, primitive or constructed.
constexpr std::uint8_t context(std::uint8_t number, bool constructed) {
    return static_cast<std::uint8_t>((constructed ? 0xa0 : 0x80) | number);
}
}  // namespace der

struct DerValue {
    std::uint8_t tag = 0;
    std::string_view content;
};

class DerReader {
  public:
    explicit DerReader(std::string_view bytes) : rest_(bytes) {}

    [[nodiscard]] bool at_end() const { return rest_.empty(); }

    /// The next value; nothing at the end and for what is not DER.
    [[nodiscard]] std::optional<DerValue> next();
    /// The next value's content if it has this tag; otherwise nothing, and the reader stays where it is.
    [[nodiscard]] std::optional<std::string_view> next(std::uint8_t tag);

  private:
    std::string_view rest_;
};

}  // namespace palier::tls
