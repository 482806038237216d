// Settings as texts, the way that a configuration file has them: "60s", "round-robin", "a, b".
// Thread: any.
#pragma once

#include "palier/config/config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace palier::control {

[[nodiscard]] std::string setting_text(bool value);
[[nodiscard]] std::string setting_text(std::uint32_t value);
[[nodiscard]] std::string setting_text(std::uint64_t bytes);
[[nodiscard]] std::string setting_text(const std::optional<std::uint32_t>& value);
[[nodiscard]] std::string setting_text(const std::string& value);
[[nodiscard]] std::string setting_text(const std::vector<std::string>& values);
[[nodiscard]] std::string setting_text(const std::vector<base::SocketAddress>& values);
[[nodiscard]] std::string setting_text(const std::vector<base::Cidr>& values);
[[nodiscard]] std::string setting_text(config::Duration value);
[[nodiscard]] std::string setting_text(const config::MemoryLimit& value);
[[nodiscard]] std::string setting_text(config::LogLevel value);
[[nodiscard]] std::string setting_text(config::LogFormat value);
[[nodiscard]] std::string setting_text(config::ProxyProtocol value);
[[nodiscard]] std::string setting_text(config::ProbeType value);
[[nodiscard]] std::string setting_text(config::Role value);
[[nodiscard]] std::string setting_text(config::Failback value);
[[nodiscard]] std::string setting_text(config::WhenNone value);
[[nodiscard]] std::string setting_text(config::OnDown value);

}  // namespace palier::control
