#include "palier/control/name_watcher.h"

#include "palier/base/log.h"

#include <algorithm>
#include <set>

namespace palier::control {
namespace {

constexpr std::uint64_t kLookMs = 500;        // how often deadlines are looked at
constexpr std::uint64_t kRetryMs = 5'000;     // after a failure
constexpr std::uint64_t kLeastAgeMs = 1'000;  // between two questions for one name
constexpr std::uint32_t kShortestTtlS = 1;
constexpr std::uint32_t kLongestTtlS = 300;
constexpr std::uint32_t kUntoldTtlS = 10;  // of a hosts file

std::string to_text(const std::vector<base::IpAddress>& addresses) {
    std::string text;
    for (const auto& address : addresses)
        text += (text.empty() ? "" : ", ") + address.to_string();
    return text;
}

}  // namespace

NameWatcher::NameWatcher(net::Loop& loop, std::function<void()> changed)
    : loop_(loop),
      changed_(std::move(changed)),
      resolver_(loop),
      timer_(base::Timer::calling<&NameWatcher::on_timer>(this)) {}

void NameWatcher::watch(std::span<const config::Config* const> configs) {
    std::set<std::string> wanted;
    for (const config::Config* config : configs) {
        for (const auto& pool : config->pools) {
            for (const auto& server : pool.servers) {
                if (!base::IpAddress::parse(server.host)) wanted.insert(server.host);
            }
        }
    }
    std::erase_if(names_, [&](const auto& name) { return !wanted.contains(name.first); });
    std::erase_if(addresses_, [&](const auto& entry) { return !wanted.contains(entry.first); });
    for (const std::string& host : wanted) {
        const auto [name, added] = names_.try_emplace(host);
        if (added) ask(host, name->second);
    }
    if (!names_.empty()) loop_.timers().arm(timer_, loop_.now_ms() + kLookMs);
}

bool NameWatcher::settled() const {
    return std::ranges::all_of(names_, [](const auto& name) { return name.second.answered; });
}

void NameWatcher::doubt(const std::string& host) {
    const auto name = names_.find(host);
    if (name == names_.end()) return;
    name->second.ask_at_ms = std::min(name->second.ask_at_ms, name->second.asked_at_ms + kLeastAgeMs);
}

void NameWatcher::on_timer() {
    for (auto& [host, name] : names_) {
        if (!name.asking && loop_.now_ms() >= name.ask_at_ms) ask(host, name);
    }
    if (!names_.empty()) loop_.timers().arm(timer_, loop_.now_ms() + kLookMs);
}

void NameWatcher::ask(const std::string& host, Name& name) {
    name.asking = true;
    name.asked_at_ms = loop_.now_ms();
    resolver_.resolve(
        host, [this, host](base::Result<net::Resolution> answer) { on_answer(host, std::move(answer)); });
}

void NameWatcher::on_answer(const std::string& host, base::Result<net::Resolution> answer) {
    const auto found = names_.find(host);
    if (found == names_.end()) return;
    Name& name = found->second;
    name.asking = false;
    const bool first = !std::exchange(name.answered, true);
    if (!answer) {
        name.ask_at_ms = loop_.now_ms() + kRetryMs;
        if (!std::exchange(name.failing, true)) {
            const bool had = addresses_.contains(host);
            base::log_warning(
                "cannot resolve {}; {}", answer.error().message,
                had ? "its last addresses stay in use" : "its servers are not usable until it does");
        }
        if (first) changed_();
        return;
    }
    const std::uint32_t ttl =
        answer->ttl_s == 0 ? kUntoldTtlS : std::clamp(answer->ttl_s, kShortestTtlS, kLongestTtlS);
    name.ask_at_ms = loop_.now_ms() + std::uint64_t{ttl} * 1000;
    const bool recovered = std::exchange(name.failing, false);
    auto& known = addresses_[host];
    if (known != answer->addresses) {
        known = std::move(answer->addresses);
        base::log_info("{} resolves to {}", host, to_text(known));
        changed_();
    } else if (recovered) {
        base::log_info("{} resolves again", host);
    }
}

}  // namespace palier::control
