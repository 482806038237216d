#include "control/setting_text.h"

#include "palier/config/units.h"

#include <array>
#include <cstddef>
#include <string_view>

namespace palier::control {
namespace {

/// The name at the place that `value` has in its enum.
template <typename E, std::size_t N>
std::string name_of(E value, const std::array<std::string_view, N>& names) {
    return std::string(names.at(static_cast<std::size_t>(value)));
}

template <typename T>
std::string joined(const std::vector<T>& values) {
    std::string text = "[";
    for (const T& value : values)
        text += (text.size() == 1 ? "" : ", ") + value.to_string();
    return text + "]";
}

}  // namespace

std::string setting_text(bool value) {
    return value ? "on" : "off";
}

std::string setting_text(std::uint32_t value) {
    return std::to_string(value);
}

std::string setting_text(std::uint64_t bytes) {
    return bytes == 0 ? "0" : config::size_to_text(bytes);
}

std::string setting_text(const std::optional<std::uint32_t>& value) {
    return value ? std::to_string(*value) : "\"\"";
}

std::string setting_text(const std::string& value) {
    return '"' + value + '"';
}

std::string setting_text(const std::vector<std::string>& values) {
    std::string text = "[";
    for (const std::string& value : values)
        text += (text.size() == 1 ? "" : ", ") + value;
    return text + "]";
}

std::string setting_text(const std::vector<base::SocketAddress>& values) {
    return joined(values);
}

std::string setting_text(const std::vector<base::Cidr>& values) {
    return joined(values);
}

std::string setting_text(config::Duration value) {
    return config::to_text(value);
}

std::string setting_text(const config::MemoryLimit& value) {
    switch (value.kind) {
        case config::MemoryLimit::Kind::automatic:
            return "auto";
        case config::MemoryLimit::Kind::size:
            return config::size_to_text(value.bytes);
        case config::MemoryLimit::Kind::off:
            return "off";
    }
    return "";
}

std::string setting_text(config::LogLevel value) {
    return name_of(value, std::to_array<std::string_view>({"debug", "info", "warning", "error"}));
}

std::string setting_text(config::LogFormat value) {
    return name_of(value, std::to_array<std::string_view>({"json", "combined"}));
}

std::string setting_text(config::ProxyProtocol value) {
    return name_of(value, std::to_array<std::string_view>({"off", "optional", "required"}));
}

std::string setting_text(config::ProbeType value) {
    return name_of(value, std::to_array<std::string_view>({"http", "tcp", "tls", "mysql"}));
}

std::string setting_text(config::Role value) {
    return name_of(value, std::to_array<std::string_view>({"active", "passive"}));
}

std::string setting_text(config::Failback value) {
    return name_of(value, std::to_array<std::string_view>({"auto", "manual"}));
}

std::string setting_text(config::WhenNone value) {
    return name_of(value, std::to_array<std::string_view>({"refuse", "try_all"}));
}

std::string setting_text(config::OnDown value) {
    return name_of(value, std::to_array<std::string_view>({"finish", "close"}));
}

}  // namespace palier::control
