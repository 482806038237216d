#include "control/take_over_channel.h"

#include <cerrno>

#include <nlohmann/json.hpp>
#include <sys/socket.h>

namespace palier::control {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestMessage = 4096;
constexpr std::size_t kLongestError = 1024;

std::string text_in(const json& message, const char* key) {
    const auto found = message.is_object() ? message.find(key) : message.end();
    return found != message.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

}  // namespace

base::Result<std::array<int, 2>> open_channel() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
        return base::system_failure("no channel to the other palier", errno);
    return ends;
}

bool tell(int channel, std::string_view step, std::string_view error) {
    json message{{"step", step}};
    if (!error.empty()) message["error"] = error.substr(0, kLongestError);
    const std::string packet = message.dump(-1, ' ', false, json::error_handler_t::replace);
    return ::send(channel, packet.data(), packet.size(), MSG_NOSIGNAL) >= 0;
}

Heard hear(int channel) {
    std::array<char, kLongestMessage> packet;
    const ssize_t size = ::recv(channel, packet.data(), packet.size(), MSG_DONTWAIT);
    if (size < 0) return {.message = {}, .ended = errno != EAGAIN && errno != EINTR};
    if (size == 0) return {.message = {}, .ended = true};
    const json message = json::parse(packet.data(), packet.data() + size, nullptr, false);
    return {.message = ChannelMessage{text_in(message, "step"), text_in(message, "error")}, .ended = false};
}

}  // namespace palier::control
