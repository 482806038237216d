#include "tls/pem.h"

#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace palier::tls {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

constexpr std::uint8_t kSpace = 64;
constexpr std::uint8_t kPadding = 65;
constexpr std::uint8_t kForeign = 66;

constexpr std::array<std::uint8_t, 256> kBase64 = [] {
    std::array<std::uint8_t, 256> values{};
    values.fill(kForeign);
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
        values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
    for (const char space : {' ', '\t', '\r', '\n'})
        values[static_cast<unsigned char>(space)] = kSpace;
    values['='] = kPadding;
    return values;
}();

/// The next block; nothing when there is none. `broken` says what is wrong with one that does not end.
std::optional<PemBlock> next_block(std::string_view& text, std::string& broken) {
    const std::size_t begin = text.find(kBegin);
    if (begin == std::string_view::npos) return std::nullopt;
    text.remove_prefix(begin + kBegin.size());
    const std::size_t dashes = text.find(kDashes);
    const std::string_view label = text.substr(0, dashes);
    if (dashes == std::string_view::npos || label.find('\n') != std::string_view::npos) {
        broken = "a BEGIN line does not end";
        return std::nullopt;
    }
    text.remove_prefix(dashes + kDashes.size());
    const std::size_t end = text.find(kDashes);
    const std::string_view last = end == std::string_view::npos ? "" : text.substr(end);
    if (!last.starts_with(kEnd) || !last.substr(kEnd.size()).starts_with(label) ||
        !last.substr(kEnd.size() + label.size()).starts_with(kDashes)) {
        broken = fmt::format("a block \"{}\" does not end", label);
        return std::nullopt;
    }
    const PemBlock block{label, text.substr(0, end)};
    text.remove_prefix(end + kEnd.size() + label.size() + kDashes.size());
    return block;
}

bool is_encrypted(const PemBlock& block) {
    return block.label.starts_with("ENCRYPTED ") || block.body.find("ENCRYPTED") != std::string_view::npos;
}

}  // namespace

std::expected<PemContents, std::string> read_pem(std::string_view text) {
    PemContents contents;
    std::string broken;
    while (const auto block = next_block(text, broken)) {
        if (block->label == "CERTIFICATE" || block->label == "X509 CERTIFICATE") {
            contents.certificates.push_back(block->body);
        } else if (block->label.ends_with("PRIVATE KEY")) {
            if (contents.key) return std::unexpected("it has two private keys");
            contents.key = *block;
            contents.key_is_encrypted = is_encrypted(*block);
        }
    }
    if (!broken.empty()) return std::unexpected(broken);
    return contents;
}

bool decode_base64(std::string_view text, std::string& out) {
    out.clear();
    out.reserve(text.size() / 4 * 3 + 3);
    std::uint32_t bits = 0;
    unsigned digits = 0;
    unsigned padding = 0;
    for (const char byte : text) {
        const std::uint8_t value = kBase64[static_cast<unsigned char>(byte)];
        if (value == kSpace) continue;
        if (value == kPadding) {
            ++padding;
            continue;
        }
        if (value == kForeign || padding != 0) return false;
        bits = bits << 6 | value;
        if (++digits % 4 != 0) continue;
        out.push_back(static_cast<char>(bits >> 16));
        out.push_back(static_cast<char>(bits >> 8));
        out.push_back(static_cast<char>(bits));
    }
    const unsigned left = digits % 4;
    if (left == 0) return padding == 0 && !out.empty();
    if (left == 1 || left + padding != 4) return false;
    bits <<= 6 * (4 - left);
    out.push_back(static_cast<char>(bits >> 16));
    if (left == 3) out.push_back(static_cast<char>(bits >> 8));
    return true;
}

}  // namespace palier::tls
