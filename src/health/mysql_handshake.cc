#include "health/mysql_handshake.h"

#include "health/mysql_packet.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::health {
namespace {

constexpr std::uint32_t kLongPassword = 0x1;  // in MariaDB's words CLIENT_MYSQL: none of its extensions
constexpr std::uint32_t kProtocol41 = 0x200;
constexpr std::uint32_t kSecureConnection = 0x8000;
constexpr std::uint32_t kPluginAuth = 0x80000;
// What palier asks for; neither TLS nor EOF packets in another form (DEPRECATE_EOF).
constexpr std::uint32_t kWanted = kLongPassword | kProtocol41 | kSecureConnection | kPluginAuth;

constexpr std::uint64_t kProtocolVersion = 10;
constexpr std::uint32_t kMaxPacket = MysqlPacketReader::kMaxPayload;
constexpr unsigned kUtf8 = 33;  // utf8_general_ci, which all servers know: error texts come in it
constexpr std::size_t kMaxPluginName = 64;

void append_integer(std::string& out, std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8)
        out.push_back(static_cast<char>(value >> shift & 0xff));
}

/// The part that servers without PROTOCOL_41 leave out.
void read_second_half(MysqlFields& fields, MysqlGreeting& greeting) {
    fields.skip(1 + 2);  // character set, status
    greeting.capabilities |= static_cast<std::uint32_t>(fields.integer(2)) << 16;
    const std::uint64_t scramble = fields.integer(1);  // both parts of it
    fields.skip(10);
    if ((greeting.capabilities & kSecureConnection) != 0)
        fields.skip(std::max<std::uint64_t>(13, scramble < 8 ? 0 : scramble - 8));
    if ((greeting.capabilities & kPluginAuth) == 0) return;
    // Some servers leave out the name's NUL (MySQL bug 59453).
    greeting.plugin = fields.rest().substr(0, fields.rest().find('\0'));
}

}  // namespace

std::expected<MysqlGreeting, std::string> read_mysql_greeting(std::string_view payload) {
    MysqlFields fields(payload);
    if (payload.empty()) return std::unexpected("an empty packet in place of a greeting");
    const std::uint64_t version = fields.integer(1);
    if (version != kProtocolVersion) {
        return std::unexpected(
            fmt::format("MySQL protocol version {}, expected {}", version, kProtocolVersion));
    }
    MysqlGreeting greeting;
    static_cast<void>(fields.text_to_nul());  // as the server calls itself
    fields.skip(4 + 8 + 1);                   // connection's id, first part of the scramble, filler
    greeting.capabilities = static_cast<std::uint32_t>(fields.integer(2));
    if (!fields.rest().empty()) read_second_half(fields, greeting);
    if (!fields.ok()) return std::unexpected("a malformed greeting");
    if ((greeting.capabilities & kProtocol41) == 0) return std::unexpected("a server older than MySQL 4.1");
    if (greeting.plugin.size() > kMaxPluginName) return std::unexpected("a malformed greeting");
    return greeting;
}

std::string mysql_login(const MysqlGreeting& greeting, std::string_view user) {
    const std::uint32_t capabilities = kWanted & (greeting.capabilities | kLongPassword);
    const std::string_view password = empty_mysql_password(greeting.plugin);
    std::string login;
    append_integer(login, capabilities);
    append_integer(login, kMaxPacket);
    login.push_back(static_cast<char>(kUtf8));
    login.append(23, '\0');
    login.append(user).push_back('\0');
    // A server without SECURE_CONNECTION reads the same zero as the end of an empty text.
    login.push_back(static_cast<char>(password.size()));
    login.append(password);
    if ((capabilities & kPluginAuth) != 0) login.append(greeting.plugin).push_back('\0');
    return login;
}

std::string_view empty_mysql_password(std::string_view plugin) {
    const bool wants_text =
        plugin == "sha256_password" || plugin == "caching_sha2_password" || plugin == "mysql_clear_password";
    return wants_text ? std::string_view("\0", 1) : std::string_view();
}

}  // namespace palier::health
