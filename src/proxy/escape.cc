#include "escape.h"

#include <cstdint>
#include <cstring>

namespace palier::proxy {
namespace {

constexpr char kHexDigits[] = "0123456789ABCDEF";
constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHighBits = kOnes * 0x80;

/// Whether all eight bytes are printable ASCII other than '"' and '\'.
bool all_plain(std::uint64_t word) {
    const std::uint64_t quotes = word ^ (kOnes * '"');
    const std::uint64_t backslashes = word ^ (kOnes * '\\');
    const std::uint64_t bad = word | (word + kOnes) |         // 0x7f and above
                              (word - kOnes * 0x20) |         // below 0x20
                              ((quotes - kOnes) & ~quotes) |  // a zero byte where a quote was
                              ((backslashes - kOnes) & ~backslashes);
    return (bad & kHighBits) == 0;
}

bool is_plain(char byte) {
    const auto value = static_cast<unsigned char>(byte);
    return value >= 0x20 && value < 0x7f && byte != '"' && byte != '\\';
}

/// The length of the well-formed UTF-8 sequence that starts with a non-ASCII byte at `in`; 0 if there is none
/// (RFC 3629 section 4).
std::size_t utf8_length(const char* in, const char* end) {
    const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(in[index]); };
    const auto left = static_cast<std::size_t>(end - in);
    const auto continues = [&](std::size_t index, unsigned low = 0x80, unsigned high = 0xbf) {
        return index < left && byte(index) >= low && byte(index) <= high;
    };
    const unsigned lead = byte(0);
    if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        const bool second = continues(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
        return second && continues(2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const bool second = continues(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
        return second && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

char* put_hex(char* out, std::string_view prefix, char byte) {
    std::memcpy(out, prefix.data(), prefix.size());
    out += prefix.size();
    *out++ = kHexDigits[static_cast<unsigned char>(byte) >> 4];
    *out++ = kHexDigits[static_cast<unsigned char>(byte) & 15];
    return out;
}

/// Each of the next two writes what stands at `in` and returns how much of it that was.
std::size_t put_json_special(char*& out, const char* in, const char* end) {
    if (*in == '"' || *in == '\\') {
        *out++ = '\\';
        *out++ = *in;
        return 1;
    }
    const bool ascii = static_cast<unsigned char>(*in) < 0x80;
    const std::size_t length = ascii ? 0 : utf8_length(in, end);
    if (length == 0) {
        out = put_hex(out, "\\u00", *in);
        return 1;
    }
    std::memcpy(out, in, length);
    out += length;
    return length;
}

std::size_t put_log_special(char*& out, const char* in, const char*) {
    out = put_hex(out, "\\x", *in);
    return 1;
}

template <auto PutSpecial>
char* put_escaped(char* out, std::string_view text) {
    const char* in = text.data();
    const char* const end = in + text.size();
    while (end - in >= 8) {
        std::uint64_t word;
        std::memcpy(&word, in, 8);
        if (all_plain(word)) {
            std::memcpy(out, &word, 8);
            in += 8;
            out += 8;
            continue;
        }
        while (is_plain(*in))
            *out++ = *in++;
        in += PutSpecial(out, in, end);
    }
    while (in < end) {
        if (is_plain(*in)) {
            *out++ = *in++;
        } else {
            in += PutSpecial(out, in, end);
        }
    }
    return out;
}

}  // namespace

char* put_json_escaped(char* out, std::string_view text) {
    return put_escaped<put_json_special>(out, text);
}

char* put_log_escaped(char* out, std::string_view text) {
    return put_escaped<put_log_special>(out, text);
}

char* put_html_escaped(char* out, std::string_view text) {
    for (const char byte : text) {
        std::string_view entity;
        switch (byte) {
            case '&':
                entity = "&amp;";
                break;
            case '<':
                entity = "&lt;";
                break;
            case '>':
                entity = "&gt;";
                break;
            case '"':
                entity = "&quot;";
                break;
            case '\'':
                entity = "&#39;";
                break;
            default:
                entity = {&byte, 1};
        }
        std::memcpy(out, entity.data(), entity.size());
        out += entity.size();
    }
    return out;
}

}  // namespace palier::proxy
