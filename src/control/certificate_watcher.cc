#include "palier/control/certificate_watcher.h"

#include "palier/base/clock.h"
#include "palier/base/log.h"
#include "palier/tls/check.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace palier::control {
namespace {

constexpr std::uint64_t kSettleMs = 300;  // after the last change of a burst
constexpr std::uint64_t kLongestMs =
    1'000;  // after the first: a burst that does not end is looked at all the same
constexpr std::uint64_t kLookMs = 60'000;      // without any change
constexpr std::uint64_t kBlindLookMs = 1'500;  // where changes are not told
constexpr std::uint64_t kLeastRest = 20;       // as long as many looks take
constexpr std::size_t kMostLines = 50;         // of one look in the log

/// "/etc/palier/certs/" is "certs" in "/etc/palier".
std::pair<std::string, std::string> split_path(std::string path) {
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

void log_problems(std::span<const tls::CertificateProblem> problems) {
    for (const tls::CertificateProblem& problem : problems.first(std::min(problems.size(), kMostLines)))
        base::log_warning("{}: {}", problem.file, problem.reason);
    if (problems.size() > kMostLines) {
        base::log_warning("and {} more problems with certificates: `palier check` has them all",
                          problems.size() - kMostLines);
    }
}

void log_changes(const tls::CertificateStore::Changes& changes) {
    log_problems(changes.problems);
    const auto& renewed = changes.renewed;
    for (const std::string& file : std::span(renewed).first(std::min(renewed.size(), kMostLines)))
        base::log_info("{}: the new certificate is in use", file);
    if (renewed.size() > kMostLines)
        base::log_info("and {} more new certificates are in use", renewed.size() - kMostLines);
    if (changes.added != 0 || changes.removed != 0)
        base::log_info("certificates: {} added, {} removed", changes.added, changes.removed);
}

}  // namespace

CertificateWatcher::CertificateWatcher(net::Loop& loop, std::shared_ptr<const config::Config> config)
    : loop_(loop),
      config_(std::move(config)),
      folders_(loop, [this](const std::string& folder, std::string_view name) { on_change(folder, name); }),
      timer_(base::Timer::calling<&CertificateWatcher::look>(this)) {}

base::Result<void> CertificateWatcher::load() {
    for (const config::ListenerConfig& listener : config_->listeners) {
        if (auto made = make_context(listener); !made) return made;
    }
    if (stores_.empty()) return {};
    watch_folders();
    look_again_in(blind_ ? kBlindLookMs : kLookMs);
    return {};
}

base::Result<void> CertificateWatcher::make_context(const config::ListenerConfig& listener) {
    if (!listener.tls) {
        contexts_.push_back(nullptr);
        return {};
    }
    const auto store = store_of(listener.tls->certificates);
    if (store->size() == 0) return base::failure(tls::nothing_usable(listener));
    if (const std::string missing = tls::missing_default(listener, *store); !missing.empty())
        base::log_warning("{}", missing);
    const auto tickets = tickets_of(listener.tls->ticket_keys);
    if (!tickets)
        return base::failure(
            fmt::format("listener {}: ticket_keys: {}", listener.name, tickets.error().message));
    auto context = tls::ServerContext::make(*listener.tls, listener.name, store, *tickets);
    if (!context)
        return base::failure(fmt::format("listener {}: {}", listener.name, context.error().message));
    contexts_.push_back(std::move(*context));
    return {};
}

std::shared_ptr<tls::CertificateStore> CertificateWatcher::store_of(const std::vector<std::string>& sources) {
    auto& store = stores_[sources];
    if (store != nullptr) return store;
    store = std::make_shared<tls::CertificateStore>(sources);
    log_problems(store->refresh().problems);
    for (const std::string& source : sources)
        entries_.insert(split_path(source));
    return store;
}

base::Result<std::shared_ptr<tls::TicketKeys>> CertificateWatcher::tickets_of(const std::string& path) {
    auto& tickets = tickets_[path];
    if (tickets != nullptr) return tickets;
    auto made = path.empty() ? tls::TicketKeys::random() : tls::TicketKeys::from_file(path);
    if (!made) return made;
    if (!path.empty()) entries_.insert(split_path(path));
    return tickets = std::move(*made);
}

std::vector<tls::ListedCertificate> CertificateWatcher::certificates() const {
    std::vector<tls::ListedCertificate> all;
    for (const auto& [sources, store] : stores_) {
        auto listed = store->certificates();
        std::ranges::move(listed, std::back_inserter(all));
    }
    return all;
}

/// In the folders above those that are named, only these themselves matter.
void CertificateWatcher::on_change(const std::string& folder, std::string_view name) {
    const auto named = entries_.equal_range(folder);
    const bool matters =
        name.empty() || std::ranges::binary_search(whole_folders_, folder) ||
        std::any_of(named.first, named.second, [&](const auto& entry) { return entry.second == name; });
    if (!matters) return;
    if (first_change_ms_ == 0) first_change_ms_ = loop_.now_ms();
    const std::uint64_t at = std::min(loop_.now_ms() + kSettleMs, first_change_ms_ + kLongestMs);
    loop_.timers().arm(timer_, at);
}

void CertificateWatcher::look() {
    const std::uint64_t began = base::monotonic_ms();
    first_change_ms_ = 0;
    for (const auto& [sources, store] : stores_)
        log_changes(store->refresh());
    reread_tickets();
    watch_folders();
    const std::uint64_t took = base::monotonic_ms() - began;
    look_again_in(blind_ ? std::max(kBlindLookMs, took * kLeastRest) : kLookMs);
}

void CertificateWatcher::look_again_in(std::uint64_t ms) {
    loop_.timers().arm(timer_, base::monotonic_ms() + ms);
}

void CertificateWatcher::reread_tickets() {
    for (const auto& [path, tickets] : tickets_) {
        if (path.empty()) continue;
        const auto reread = tickets->reread();
        std::string& logged = ticket_failures_[path];
        if (!reread && logged != reread.error().message) {
            logged = reread.error().message;
            base::log_warning("{}; the ticket keys of before stay in use", logged);
        }
        if (!reread) continue;
        logged.clear();
        if (*reread) base::log_info("{}: the new ticket keys are in use", path);
    }
}

void CertificateWatcher::watch_folders() {
    whole_folders_.clear();
    for (const auto& [sources, store] : stores_) {
        const auto folders = store->folders();
        whole_folders_.insert(whole_folders_.end(), folders.begin(), folders.end());
    }
    std::ranges::sort(whole_folders_);
    const auto again = std::ranges::unique(whole_folders_);
    whole_folders_.erase(again.begin(), again.end());
    std::vector<std::string> all = whole_folders_;
    for (const auto& [folder, name] : entries_)
        all.push_back(folder);
    const auto errors = folders_.watch(all);
    const bool was_blind = std::exchange(blind_, !errors.empty());
    if (blind_ && !was_blind) {
        base::log_warning("{}: changes are not told, so that it is looked at every {} ms; {} folders in all",
                          errors.front().message, kBlindLookMs, errors.size());
    }
}

}  // namespace palier::control
