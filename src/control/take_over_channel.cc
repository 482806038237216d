#include "control/take_over_channel.h"

#include "control/memory_text.h"
#include "palier/net/descriptors.h"

#include <cerrno>
#include <span>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace palier::control {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestMessage = 4096;
constexpr std::size_t kLongestError = 1024;

std::string text_in(const json& message, const char* key) {
    const auto found = message.is_object() ? message.find(key) : message.end();
    return found != message.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::uint64_t number_in(const json& message, const char* key) {
    const auto found = message.is_object() ? message.find(key) : message.end();
    return found != message.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

/// Closes them all.
std::string text_from(std::span<const int> descriptors) {
    std::string text;
    for (const int descriptor : descriptors) {
        if (auto read = read_text(descriptor)) text += *read;
        ::close(descriptor);
    }
    return text;
}

}  // namespace

base::Result<std::array<int, 2>> open_channel() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
        return base::system_failure("no channel to the other palier", errno);
    return ends;
}

bool tell(int channel, const ChannelMessage& message) {
    json parts{{"step", message.step}};
    if (!message.error.empty()) parts["error"] = message.error.substr(0, kLongestError);
    if (message.number != 0) parts["number"] = message.number;
    const std::string packet = parts.dump(-1, ' ', false, json::error_handler_t::replace);
    std::vector<int> beside;
    if (!message.text.empty()) {
        const auto text = memory_text(message.text);
        if (!text) return false;
        beside.push_back(*text);
    }
    const net::IoResult sent = net::send_with_descriptors(channel, packet, beside);
    for (const int descriptor : beside)
        ::close(descriptor);
    return sent.status == net::IoStatus::ok;
}

Heard hear(int channel) {
    std::array<char, kLongestMessage> packet;
    std::vector<int> beside;
    const net::IoResult got = net::receive_with_descriptors(channel, packet, beside);
    if (got.status != net::IoStatus::ok)
        return {.message = {}, .ended = got.status != net::IoStatus::would_block};
    const json message = json::parse(packet.data(), packet.data() + got.size, nullptr, false);
    return {.message = ChannelMessage{.step = text_in(message, "step"),
                                      .error = text_in(message, "error"),
                                      .number = number_in(message, "number"),
                                      .text = text_from(beside)},
            .ended = false};
}

}  // namespace palier::control
