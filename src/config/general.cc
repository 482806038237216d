#include "config/accounts.h"
#include "config/addresses.h"
#include "config/sections.h"
#include "palier/config/units.h"

#include <array>

#include <fmt/format.h>
#include <sys/un.h>

namespace palier::config {
namespace {

constexpr std::uint32_t kMostWorkers = 256;
constexpr std::uint32_t kMostConnections = 100'000'000;
constexpr std::uint64_t kLeastMemory = std::uint64_t{16} << 20;
constexpr std::uint64_t kMostMemory = std::uint64_t{1} << 50;
constexpr Range<Duration> kTimeout{Duration(1), kLongest};

constexpr std::array<Choice<LogLevel>, 4> kLogLevels{{{"debug", LogLevel::debug},
                                                      {"info", LogLevel::info},
                                                      {"warning", LogLevel::warning},
                                                      {"error", LogLevel::error}}};
constexpr std::array<Choice<LogFormat>, 2> kLogFormats{
    {{"json", LogFormat::json}, {"combined", LogFormat::combined}}};

void read_log(TableReader& root, LogConfig& log) {
    auto table = root.table("log");
    if (!table) return;
    table->read("level", log.level, kLogLevels);
    table->read("format", log.format, kLogFormats);
    if (const Node* access = table->text("access")) {
        const std::string& text = access->string;
        if (text == "stdout" || text == "stderr" || text == "off") {
            log.access = text;
        } else if (text.find('/') != std::string::npos && !text.ends_with('/')) {
            log.access = access->document->resolve(text);
        } else {
            table->mistakes().add(access->place(),
                                  fmt::format("\"log.access\" must be \"stdout\", \"stderr\", \"off\" or a "
                                              "file's path with a \"/\", not \"{}\"",
                                              text));
        }
    }
    table->finish();
}

void read_timeouts(TableReader& root, TimeoutsConfig& timeouts) {
    auto table = root.table("timeouts");
    if (!table) return;
    table->read("client_header", timeouts.client_header, kTimeout);
    table->read("client_body", timeouts.client_body, kTimeout);
    table->read("client_idle", timeouts.client_idle, kTimeout);
    table->read("client_write", timeouts.client_write, kTimeout);
    table->read("handshake", timeouts.handshake, kTimeout);
    table->read("connect", timeouts.connect, kTimeout);
    table->read("server", timeouts.server, kTimeout);
    table->read("server_idle", timeouts.server_idle, kTimeout);
    table->read("tunnel", timeouts.tunnel, kTimeout);
    table->finish();
}

void read_trusted_proxies(TableReader& table, std::vector<base::Cidr>& trusted) {
    for (const Node* text : table.texts("trusted_proxies")) {
        const auto network = base::Cidr::parse(text->string);
        if (network) {
            trusted.push_back(*network);
        } else {
            table.mistakes().add(
                text->place(),
                fmt::format("\"{}\" is not an address or a network such as \"10.0.0.0/8\" or \"fd00::/8\"",
                            text->string));
        }
    }
}

void read_memory_limit(TableReader& table, MemoryLimit& limit) {
    const Node* text = table.find("memory");
    if (text == nullptr || text->broken) return;
    const std::string word = text->kind == Node::Kind::string ? text->string : "";
    if (word == "auto") {
        limit.kind = MemoryLimit::Kind::automatic;
    } else if (word == "off") {
        limit.kind = MemoryLimit::Kind::off;
    } else if (const auto bytes = parse_size(word);
               bytes && *bytes >= kLeastMemory && *bytes <= kMostMemory) {
        limit = {.kind = MemoryLimit::Kind::size, .bytes = *bytes};
    } else {
        const std::string found = text->kind == Node::Kind::string ? fmt::format(", not \"{}\"", word) : "";
        table.mistakes().add(
            text->place(),
            fmt::format("\"limits.memory\" must be \"auto\", \"off\" or a size of \"{}\" or more{}",
                        size_to_text(kLeastMemory), found));
    }
}

void read_limits(TableReader& root, Config& config) {
    auto table = root.table("limits");
    if (!table) return;
    LimitsConfig& limits = config.limits;
    table->read_size("header_size", limits.header_size, {std::uint64_t{1} << 10, std::uint64_t{1} << 20});
    table->read<std::uint32_t>("headers", limits.headers, {8, 1024});
    table->read_size("body", limits.body, {0, std::uint64_t{1} << 60});
    table->read<std::uint32_t>("connections", limits.connections, {0, kMostConnections});
    table->read<std::uint32_t>("streams", limits.streams, {1, 1000});
    read_memory_limit(*table, limits.memory);
    // By TOML's rules, trusted_proxies belongs to the table above it. A file that lists it after the limits
    // means what it says all the same.
    if (table->find("trusted_proxies") != nullptr && root.find("trusted_proxies") != nullptr) {
        table->mistakes().add(table->key_place("trusted_proxies"),
                              fmt::format("\"trusted_proxies\" is set twice; the first time at {}",
                                          to_string(root.key_place("trusted_proxies"))));
    } else {
        read_trusted_proxies(*table, config.trusted_proxies);
    }
    table->finish();
}

void read_control_socket(TableReader& root, Config& config) {
    const Node* text = root.text("control_socket");
    if (text == nullptr) return;
    config.control_socket = text->string.empty() ? "" : text->document->resolve(text->string);
    constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
    if (config.control_socket.size() > kLongestPath) {
        root.mistakes().add(
            text->place(),
            fmt::format("\"control_socket\" must be a path of at most {} bytes", kLongestPath));
    } else if (config.control_socket.ends_with('/')) {
        root.mistakes().add(
            text->place(),
            fmt::format("\"control_socket\" must be a socket's path, not that of a folder, \"{}\"",
                        text->string));
    }
}

void read_account(TableReader& root, std::string_view key, std::optional<std::uint32_t>& number,
                  base::Result<std::uint32_t> (*number_of)(const std::string&)) {
    const Node* text = root.text(key);
    if (text == nullptr || text->string.empty()) return;
    if (const auto found = number_of(text->string)) {
        number = *found;
    } else {
        root.mistakes().add(text->place(), found.error().message);
    }
}

void read_state_file(TableReader& root, Config& config) {
    const Node* text = root.text("state_file");
    if (text == nullptr) return;
    config.state_file = text->string.empty() ? "" : text->document->resolve(text->string);
    if (config.state_file.ends_with('/')) {
        root.mistakes().add(
            text->place(),
            fmt::format("\"state_file\" must be a file's path, not that of a folder, \"{}\"", text->string));
    } else if (!config.state_file.empty() && config.state_file == config.control_socket) {
        root.mistakes().add(text->place(), "\"state_file\" and \"control_socket\" cannot have the same path");
    }
}

void read_admin(TableReader& root, Config& config) {
    const Node* text = root.text("admin");
    if (text == nullptr) return;
    if (!text->string.empty()) {
        if (const auto address = parse_listener_address(text->string); !address) {
            root.mistakes().add(text->place(), address.error().message);
            return;
        }
    }
    config.admin = text->string;
}

}  // namespace

void read_general(TableReader& root, Reading& reading) {
    Config& config = reading.config;
    if (const Node* node = root.text("node")) config.node = node->string;
    root.read<std::uint32_t>("workers", config.workers, {0, kMostWorkers});
    read_control_socket(root, config);
    read_account(root, "control_owner", config.control_owner, &user_number);
    read_account(root, "control_group", config.control_group, &group_number);
    read_state_file(root, config);
    read_admin(root, config);
    root.read("shutdown_grace", config.shutdown_grace, {Duration(0), kLongest});
    root.read("tunnel_grace", config.tunnel_grace, {Duration(0), kLongest});
    read_trusted_proxies(root, config.trusted_proxies);
    read_log(root, config.log);
    read_timeouts(root, config.timeouts);
    read_limits(root, config);
}

}  // namespace palier::config
