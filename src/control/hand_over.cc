#include "control/memory_text.h"
#include "control/take_over_channel.h"
#include "palier/base/log.h"
#include "palier/control/take_over.h"
#include "palier/net/descriptors.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kLeaveMs = 10'000;  // for the new one to be at the control socket's path

std::string name_of(const HandOver::Successor& successor) {
    if (successor.pid == 0) return fmt::format("a palier {} elsewhere", successor.version);
    return fmt::format("process {} (palier {})", successor.pid, successor.version);
}

/// Sends the estate: what is in its bytes, the channel, then the sockets in batches.
void send_estate(Reply& reply, const Estate& estate, int text, int channel) {
    reply.attach(text);
    reply.attach(channel);
    reply.event({{"event", "take-over"}, {"descriptors", 2}});
    const std::vector<int> all = estate.descriptors();
    for (std::span<const int> left = all; !left.empty();) {
        const auto batch = left.first(std::min(left.size(), net::kMostDescriptorsAtOnce));
        for (const int descriptor : batch)
            reply.attach(descriptor);
        reply.event({{"event", "take-over"}, {"descriptors", batch.size()}});
        left = left.subspan(batch.size());
    }
    reply.done({{"descriptors", all.size() + 2}});
}

}  // namespace

HandOver::HandOver(net::Loop& loop, CommandTable& commands, std::string version, Hooks hooks)
    : loop_(loop), commands_(commands), version_(std::move(version)), hooks_(std::move(hooks)) {}

HandOver::~HandOver() {
    close_channel();
}

Command HandOver::command() {
    return {.name = "take-over",
            .usage = "take-over protocol=N version=V",
            .about = "what `palier run --take-over` asks for",
            .options = {"protocol", "version"},
            .run = [this](const Request& request, std::shared_ptr<Reply> reply) { begin(request, *reply); }};
}

std::string HandOver::refusal(const Request& request) const {
    const auto protocol = request.option("protocol");
    if (protocol != std::to_string(Estate::kProtocol)) {
        return fmt::format(
            "palier {} hands over by protocol {}, and \"{}\" was asked for: it must be stopped first",
            version_, Estate::kProtocol, protocol);
    }
    if (done()) return fmt::format("{} serves in its place already", name_of(successor_));
    if (under_way()) return fmt::format("an upgrade is under way: {} is taking over", name_of(successor_));
    return hooks_.obstacle();
}

void HandOver::begin(const Request& request, Reply& reply) {
    if (const std::string why = refusal(request); !why.empty()) {
        reply.fail(why);
        return;
    }
    const Estate estate = hooks_.estate();
    const auto text = memory_text(estate.encoded());
    const auto ends = open_channel();
    if (!text || !ends) {
        reply.fail(text ? ends.error().message : text.error().message);
        if (text) ::close(*text);
        if (ends) std::ranges::for_each(*ends, ::close);
        return;
    }
    successor_ = {.pid = request.peer.pid, .version = std::string(request.option("version"))};
    state_ = State::preparing;
    base::log_info("{} prepares to take over", name_of(successor_));
    commands_.refuse_changes(fmt::format("an upgrade is under way: {} is taking over", name_of(successor_)));
    send_estate(reply, estate, *text, (*ends)[1]);
    ::close(*text);
    ::close((*ends)[1]);
    channel_ = (*ends)[0];
    expect_within(kReadyMs);
    if (!loop_.watch_level(channel_, *this)) give_up("its channel could not be watched");
}

void HandOver::expect_within(std::uint64_t ms) {
    if (state_ == State::preparing) loop_.timers().arm(late_timer_, loop_.now_ms() + ms);
}

void HandOver::on_late() {
    if (state_ == State::leaving) {
        on_left(false);
    } else {
        give_up("it was not ready in time");
    }
}

/// `serves`: it has said so. The channel goes on then, under another's care.
void HandOver::on_left(bool serves) {
    state_ = State::left;
    int channel = -1;
    if (serves) {
        loop_.unwatch(channel_);
        channel = std::exchange(channel_, -1);
    }
    close_channel();
    hooks_.left(channel);
}

void HandOver::on_events(std::uint32_t /*ready*/) {
    const Heard heard = hear(channel_);
    if (!heard.message && !heard.ended) return;
    if (state_ == State::leaving) {
        on_left(heard.message && heard.message->step == "serving");
        return;
    }
    if (heard.ended) {
        give_up(kEnded);
    } else if (heard.message->step == "ready") {
        on_ready();
    } else {
        give_up(heard.message->error.empty() ? "it gave up" : heard.message->error);
    }
}

void HandOver::on_ready() {
    hooks_.announce(successor_);
    if (!tell(channel_, {.step = "leaving"})) {
        give_up("it ended when it was ready");
        return;
    }
    state_ = State::leaving;
    loop_.timers().arm(late_timer_, loop_.now_ms() + kLeaveMs);
    commands_.refuse_changes(fmt::format("{} serves now, this palier ends; ask again", name_of(successor_)));
    base::log_info("{} has taken over", name_of(successor_));
    hooks_.leave(successor_);
}

void HandOver::give_up(std::string_view why) {
    if (state_ != State::preparing) return;
    static_cast<void>(tell(channel_, {.step = "refused", .error = std::string(why)}));
    close_channel();
    state_ = State::idle;
    commands_.refuse_changes("");
    base::log_warning("{} does not take over: {}; this palier serves on", name_of(successor_), why);
    hooks_.given_up(successor_, why);
}

void HandOver::close_channel() {
    base::TimerWheel::disarm(late_timer_);
    if (channel_ < 0) return;
    loop_.unwatch(channel_);
    ::close(std::exchange(channel_, -1));
}

}  // namespace palier::control
