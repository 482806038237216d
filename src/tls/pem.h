// PEM (RFC 7468): the blocks of a file, in whatever order, among whatever else it says. Views look into the
// file's text.
// Thread: values, any thread.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace palier::tls {

struct PemBlock {
    std::string_view label;  // "CERTIFICATE"
    std::string_view body;   // between the two lines, undecoded
};

/// What of a PEM file matters to TLS.
struct PemContents {
    std::vector<std::string_view> certificates;  // bodies, in the file's order
    std::optional<PemBlock> key;
    bool key_is_encrypted = false;
};

/// Fails, with words for people, when a block does not end, or there are two private keys.
[[nodiscard]] std::expected<PemContents, std::string> read_pem(std::string_view text);

/// The bytes of a block; false for what is not base64. Empties `out` first.
[[nodiscard]] bool decode_base64(std::string_view text, std::string& out);

}  // namespace palier::tls
