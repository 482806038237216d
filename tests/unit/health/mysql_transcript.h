// What MySQL servers say, as packets to be put together. What is called "real" was recorded from MariaDB
// 10.11.19, Debian 12.
#pragma once

#include "health/mysql_packet.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace palier::health::test {

inline std::string from_hex(std::string_view hex) {
    std::string bytes;
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
        bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
    return bytes;
}

/// Payloads as packets in sequence from `first`.
inline std::string packets(unsigned first, const std::vector<std::string>& payloads) {
    std::string bytes;
    for (const std::string& payload : payloads)
        bytes += mysql_packet(static_cast<std::uint8_t>(first++), payload);
    return bytes;
}

inline std::string real_greeting_payload() {
    return from_hex(
        "0a352e352e352d31302e31312e31392d4d6172696144422d302b646562313275310029010000306b4b7631303a7300fef708"
        "02"
        "00ff81150000000000001d000000583c625976692a3568305330006d7973716c5f6e61746976655f70617373776f726400");
}
inline std::string real_greeting() {
    return packets(0, {real_greeting_payload()});
}
inline std::string real_ok() {
    return from_hex("00000002000000");
}
inline std::string real_denied() {
    return from_hex("ff1504233238303030") +
           "Access denied for user 'palier-probe'@'127.0.0.2' (using password: NO)";
}

inline std::string definition_end() {
    return from_hex("fe00002200");
}
inline std::string result_end() {
    return from_hex("fe00000200");
}

inline const std::vector<std::string>& status_definitions() {
    static const std::vector<std::string> definitions{
        from_hex(
            "0364656612696e666f726d6174696f6e5f736368656d610e53455353494f4e5f5354415455530e53455353494f4e5f"
            "5354415455530d5661726961626c655f6e616d650d5641524941424c455f4e414d450c2100c0000000fd011000"
            "0000"),
        from_hex(
            "0364656612696e666f726d6174696f6e5f736368656d610e53455353494f4e5f5354415455530e53455353494f4e5f"
            "5354415455530556616c75650e5641524941424c455f56414c55450c210000300000fd0110000000")};
    return definitions;
}

/// A real server without Galera: no row.
inline std::string real_no_wsrep() {
    return packets(
        1, {"\x02", status_definitions()[0], status_definitions()[1], definition_end(), result_end()});
}
inline std::string wsrep_row(std::string_view value) {
    std::string row("\x11wsrep_local_state");
    row.push_back(static_cast<char>(value.size()));
    return row.append(value);
}
inline std::string wsrep(std::string_view value) {
    return packets(1, {"\x02", status_definitions()[0], status_definitions()[1], definition_end(),
                       wsrep_row(value), result_end()});
}

inline std::string read_only_definition() {
    return from_hex("03646566000000124040676c6f62616c2e726561645f6f6e6c79000c3f0001000000088000000000");
}
/// "0" and "1" are real.
inline std::string read_only(std::string_view value) {
    std::string row(1, static_cast<char>(value.size()));
    return packets(1, {"\x01", read_only_definition(), result_end(), row.append(value), result_end()});
}

}  // namespace palier::health::test
