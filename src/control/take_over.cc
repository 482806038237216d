#include "palier/control/take_over.h"

#include "control/memory_text.h"
#include "control/take_over_channel.h"
#include "palier/base/clock.h"
#include "palier/net/descriptors.h"
#include "palier/net/local_listener.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace palier::control {
namespace {

using nlohmann::json;

constexpr std::uint64_t kAnswerMs = 20'000;  // for an old one whose control thread has much to do
constexpr std::size_t kReadSize = 16 * 1024;
constexpr std::size_t kLongestReply = 1024 * 1024;

/// False when that took longer than until `deadline_ms`.
bool wait_readable(int descriptor, std::uint64_t deadline_ms) {
    while (true) {
        const std::uint64_t now = base::monotonic_ms();
        if (now >= deadline_ms) return false;
        pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(deadline_ms - now));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return true;  // reading tells
    }
}

/// The old one's answer: all that it says, and the descriptors that came with it.
class Receipt {
  public:
    explicit Receipt(int connection) : connection_(connection) {}
    ~Receipt() {
        for (const int descriptor : descriptors_)
            ::close(descriptor);
        ::close(connection_);
    }
    Receipt(const Receipt&) = delete;
    Receipt& operator=(const Receipt&) = delete;

    [[nodiscard]] base::Result<void> ask(std::string_view line);
    /// True when the old one went away before its last line.
    [[nodiscard]] base::Result<bool> read();
    /// No longer closed by this.
    [[nodiscard]] std::vector<int>& descriptors() { return descriptors_; }

  private:
    /// The last line, once it is there.
    [[nodiscard]] std::optional<json> last_line();

    int connection_;
    std::string text_;
    std::vector<int> descriptors_;
};

base::Result<void> Receipt::ask(std::string_view line) {
    const net::IoResult sent = net::send_with_descriptors(connection_, line, {});
    if (sent.status == net::IoStatus::ok && sent.size == line.size()) return {};
    return base::system_failure("asking the palier that runs", sent.error);
}

std::optional<json> Receipt::last_line() {
    for (std::size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
        json line =
            json::parse(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
        text_.erase(0, end + 1);
        if (line.is_object() && line.contains("done")) return line;
    }
    return std::nullopt;
}

base::Result<bool> Receipt::read() {
    const std::uint64_t deadline = base::monotonic_ms() + kAnswerMs;
    std::array<char, kReadSize> room;
    while (text_.size() < kLongestReply) {
        if (!wait_readable(connection_, deadline))
            return base::failure(
                fmt::format("the palier that runs did not answer within {} seconds", kAnswerMs / 1000));
        const net::IoResult got = net::receive_with_descriptors(connection_, room, descriptors_);
        if (got.status == net::IoStatus::closed || got.error == ECONNRESET) return true;
        if (got.status == net::IoStatus::failed)
            return base::system_failure("the answer of the palier that runs", got.error);
        text_.append(room.data(), got.size);
        const auto last = last_line();
        if (!last) continue;
        if (last->value("ok", json()) == true) return false;
        const json why = last->value("error", json());
        return base::failure("the palier that runs refuses: " +
                             (why.is_string() ? why.get<std::string>() : "no reason given"));
    }
    return base::failure("the palier that runs answers without an end");
}

bool nobody_there(int error) {
    return error == ENOENT || error == ECONNREFUSED || error == ENOTDIR;
}

bool all_listen(const Estate& estate) {
    const auto listens = [](int descriptor) {
        int listening = 0;
        socklen_t length = sizeof listening;
        return ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 &&
               listening != 0;
    };
    return (estate.admin < 0 || listens(estate.admin)) &&
           std::ranges::all_of(estate.listeners, [&](const Estate::Sockets& sockets) {
               return std::ranges::all_of(sockets.descriptors, listens);
           });
}

}  // namespace

base::Result<std::optional<TakeOver>> TakeOver::from(const std::string& path, std::string_view version) {
    // One that dies while it answers is asked again: then it is not there any more.
    for (int attempt = 0; attempt < 2; ++attempt) {
        const auto connection = net::connect_local(path);
        if (!connection) {
            if (nobody_there(connection.error().code)) return std::nullopt;
            return std::unexpected(connection.error());
        }
        Receipt receipt(*connection);
        const std::string line =
            fmt::format("take-over protocol={} version=\"{}\"\n", Estate::kProtocol, version);
        if (auto asked = receipt.ask(line); !asked) return std::unexpected(asked.error());
        const auto went_away = receipt.read();
        if (!went_away) return std::unexpected(went_away.error());
        if (*went_away) continue;

        auto& came = receipt.descriptors();
        if (came.size() < 2) return base::failure("the palier that runs handed nothing over");
        const auto text = read_text(came[0]);
        if (!text) return std::unexpected(text.error());
        auto estate = Estate::decoded(*text, std::span(came).subspan(2));
        if (!estate) return base::failure("the palier that runs: " + estate.error().message);
        if (!all_listen(*estate))
            return base::failure("the palier that runs handed over something else than listening sockets");
        const int channel = came[1];
        ::close(came[0]);
        came.clear();
        return TakeOver(std::move(*estate), channel);
    }
    return base::failure(fmt::format("whoever answers on {} does not end what it says", path));
}

TakeOver::TakeOver(TakeOver&& other) noexcept
    : estate_(std::exchange(other.estate_, {})), channel_(std::exchange(other.channel_, -1)) {}

TakeOver::~TakeOver() {
    for (const int descriptor : estate_.descriptors())
        ::close(descriptor);
    if (channel_ >= 0) ::close(channel_);
}

base::Result<TakeOver::Outcome> TakeOver::ready() {
    // Where the other end is closed, what it said last is still there.
    static_cast<void>(tell(channel_, {.step = "ready"}));
    return answer();
}

base::Result<TakeOver::Outcome> TakeOver::answer() const {
    const bool in_time = wait_readable(channel_, base::monotonic_ms() + kAnswerMs);
    // From here on it cannot tell us any more that it leaves; it may have, just now.
    if (!in_time) ::shutdown(channel_, SHUT_RD);
    const Heard heard = hear(channel_);
    if (!heard.message) {
        if (heard.ended && in_time) return Outcome::gone;
        return base::failure("the palier that runs did not say that it leaves; it serves on");
    }
    if (heard.message->step == "leaving") return Outcome::leaving;
    return base::failure("the palier that runs serves on: " + heard.message->error);
}

int TakeOver::serving() {
    static_cast<void>(tell(channel_, {.step = "serving"}));
    return std::exchange(channel_, -1);
}

void TakeOver::failed(std::string_view why) {
    static_cast<void>(tell(channel_, {.step = "failed", .error = std::string(why)}));
}

}  // namespace palier::control
