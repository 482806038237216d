// The beginning of a MySQL connection: the server's greeting, and a login with a user and no password.
// Thread: control only; pure. Views look into the payload that was read.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace palier::health {

struct MysqlGreeting {
    std::uint32_t capabilities = 0;
    std::string_view plugin;  // the authentication that it would like; "" where it has no plugins
};

/// Protocol version 10 (all servers since 1998). The error says in words what is wrong.
[[nodiscard]] std::expected<MysqlGreeting, std::string> read_mysql_greeting(std::string_view payload);

/// What answers it: a HandshakeResponse41 for `user` with an empty password, in the plugin that the server
/// named, so that it need not ask again.
[[nodiscard]] std::string mysql_login(const MysqlGreeting& greeting, std::string_view user);

/// How clients say in `plugin` that they have no password.
[[nodiscard]] std::string_view empty_mysql_password(std::string_view plugin);

}  // namespace palier::health
