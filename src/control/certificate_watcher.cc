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

CertificateWatcher::CertificateWatcher(net::Loop& loop)
    : loop_(loop),
      folders_(loop, [this](const std::string& folder, std::string_view name) { on_change(folder, name); }),
      timer_(base::Timer::calling<&CertificateWatcher::look>(this)) {}

std::shared_ptr<const tls::TicketKeys> CertificateWatcher::random_tickets() const {
    const auto found = plan_.tickets.find("");
    return found == plan_.tickets.end() ? nullptr : found->second;
}

std::set<CertificateWatcher::Sources> CertificateWatcher::in_use() const {
    std::set<Sources> all;
    for (const auto& [sources, store] : plan_.stores)
        all.insert(sources);
    return all;
}

CertificateWatcher::Stores CertificateWatcher::read(const config::Config& config,
                                                    const std::set<Sources>& known) {
    Stores fresh;
    for (const config::ListenerConfig& listener : config.listeners) {
        if (!listener.tls || known.contains(listener.tls->certificates)) continue;
        auto& store = fresh[listener.tls->certificates];
        if (store != nullptr) continue;
        store = std::make_shared<tls::CertificateStore>(listener.tls->certificates);
        static_cast<void>(store->refresh());
    }
    return fresh;
}

base::Result<CertificateWatcher::Plan> CertificateWatcher::prepare(const config::Config& config,
                                                                   const Stores& fresh) const {
    Plan plan;
    for (const config::ListenerConfig& listener : config.listeners) {
        if (const auto planned = plan_listener(listener, fresh, plan); !planned)
            return std::unexpected(planned.error());
    }
    return plan;
}

base::Result<void> CertificateWatcher::plan_listener(const config::ListenerConfig& listener,
                                                     const Stores& fresh, Plan& plan) const {
    plan.listeners.push_back({listener.name, listener.tls});
    if (!listener.tls) {
        plan.contexts.push_back(nullptr);
        return {};
    }
    const auto store = store_of(listener.tls->certificates, fresh, plan);
    if (store->size() == 0) return base::failure(tls::nothing_usable(listener));
    if (const std::string missing = tls::missing_default(listener, *store); !missing.empty())
        base::log_warning("{}", missing);
    const auto tickets = tickets_of(listener.tls->ticket_keys, plan);
    if (!tickets) {
        return base::failure(
            fmt::format("listener {}: ticket_keys: {}", listener.name, tickets.error().message));
    }
    if (auto same = kept(plan.listeners.back())) {
        plan.contexts.push_back(std::move(same));
        return {};
    }
    auto context = tls::ServerContext::make(*listener.tls, listener.name, store, *tickets);
    if (!context)
        return base::failure(fmt::format("listener {}: {}", listener.name, context.error().message));
    plan.contexts.push_back(std::move(*context));
    return {};
}

/// A context that is in force and would be made the same way again. The stores and ticket keys in force are shared by
/// every plan, so that the same settings mean the same objects.
std::shared_ptr<const tls::ServerContext> CertificateWatcher::kept(const Plan::Context& wanted) const {
    for (std::size_t i = 0; i < plan_.listeners.size(); ++i) {
        const Plan::Context& known = plan_.listeners[i];
        if (known.listener == wanted.listener && known.config == wanted.config &&
            plan_.contexts[i]->up_to_date())
            return plan_.contexts[i];
    }
    return nullptr;
}

std::shared_ptr<tls::CertificateStore> CertificateWatcher::store_of(const Sources& sources,
                                                                    const Stores& fresh, Plan& plan) const {
    auto& store = plan.stores[sources];
    if (store != nullptr) return store;
    if (const auto known = plan_.stores.find(sources); known != plan_.stores.end()) {
        store = known->second;
    } else {
        store = fresh.at(sources);
        log_problems(store->problems());
    }
    return store;
}

base::Result<std::shared_ptr<tls::TicketKeys>> CertificateWatcher::tickets_of(const std::string& path,
                                                                              Plan& plan) const {
    auto& tickets = plan.tickets[path];
    if (tickets != nullptr) return tickets;
    if (const auto known = plan_.tickets.find(path); known != plan_.tickets.end())
        return tickets = known->second;
    auto made = path.empty() ? tls::TicketKeys::random() : tls::TicketKeys::from_file(path);
    if (!made) return made;
    return tickets = std::move(*made);
}

void CertificateWatcher::commit(Plan plan) {
    // Random keys outlive the listeners that used them: these may come back.
    if (const auto random = plan_.tickets.find(""); random != plan_.tickets.end())
        plan.tickets.insert(*random);
    std::swap(plan_, plan);
    retire(plan);
    name_entries();
    watch_folders();
    if (plan_.stores.empty()) {
        base::TimerWheel::disarm(timer_);
    } else {
        look_again_in(blind_ ? kBlindLookMs : kLookMs);
    }
}

base::Result<void> CertificateWatcher::load(const config::Config& config) {
    auto plan = prepare(config, read(config, in_use()));
    if (!plan) return std::unexpected(plan.error());
    commit(std::move(*plan));
    return {};
}

/// What of `before` is no longer in force.
void CertificateWatcher::retire(const Plan& before) {
    for (const auto& [sources, store] : before.stores) {
        if (!plan_.stores.contains(sources)) retired_.push_back(store);
    }
    for (const auto& context : before.contexts) {
        if (context != nullptr && std::ranges::find(plan_.contexts, context) == plan_.contexts.end())
            retired_.push_back(context);
    }
}

void CertificateWatcher::forget_retired() {
    std::erase_if(retired_, [](const auto& one) { return one.use_count() <= 1; });
}

void CertificateWatcher::name_entries() {
    entries_.clear();
    for (const auto& [sources, store] : plan_.stores) {
        for (const std::string& source : sources)
            entries_.insert(split_path(source));
    }
    for (const auto& [path, tickets] : plan_.tickets) {
        if (!path.empty()) entries_.insert(split_path(path));
    }
}

std::vector<tls::ListedCertificate> CertificateWatcher::certificates() const {
    std::vector<tls::ListedCertificate> all;
    for (const auto& [sources, store] : plan_.stores) {
        auto listed = store->certificates();
        std::ranges::move(listed, std::back_inserter(all));
    }
    return all;
}

/// Listeners may name a folder together with others: its problems are told once.
std::vector<tls::CertificateProblem> CertificateWatcher::problems() const {
    std::vector<tls::CertificateProblem> all;
    for (const auto& [sources, store] : plan_.stores) {
        auto of_store = store->problems();
        std::ranges::move(of_store, std::back_inserter(all));
    }
    std::ranges::sort(all);
    const auto again = std::ranges::unique(all);
    all.erase(again.begin(), again.end());
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
    for (const auto& [sources, store] : plan_.stores)
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
    for (const auto& [path, tickets] : plan_.tickets) {
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
    for (const auto& [sources, store] : plan_.stores) {
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
