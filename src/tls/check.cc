#include "palier/tls/check.h"

#include "palier/tls/certificate_store.h"
#include "palier/tls/server_context.h"
#include "palier/tls/ticket_keys.h"

#include <ctime>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace palier::tls {
namespace {

constexpr std::int64_t kDayS = 86'400;
constexpr std::int64_t kSoonS = 14 * kDayS;
constexpr std::size_t kNamesShown = 3;

constexpr StoreLimits kEveryKey{.cached = 64, .verified = std::numeric_limits<std::size_t>::max()};

std::string names_of(const ListedCertificate& certificate) {
    const auto& names = certificate.names;
    const std::size_t shown = std::min(names.size(), kNamesShown);
    std::string text =
        fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "));
    if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
    return text;
}

class Check {
  public:
    std::vector<Finding> take() { return std::move(findings_); }

    void listener(const config::ListenerConfig& listener) {
        const CertificateStore& store = store_of(listener.tls->certificates);
        if (store.size() == 0) {
            error(nothing_usable(listener));
        } else if (std::string missing = missing_default(listener, store); !missing.empty()) {
            findings_.push_back({Severity::warning, std::move(missing)});
        }
        auto tickets = listener.tls->ticket_keys.empty() ? TicketKeys::random()
                                                         : TicketKeys::from_file(listener.tls->ticket_keys);
        if (!tickets) {
            error(fmt::format("listener {}: ticket_keys: {}", listener.name, tickets.error().message));
            tickets = TicketKeys::random();
        }
        if (!tickets) return;
        const auto context = ServerContext::make(*listener.tls, listener.name,
                                                 stores_.at(listener.tls->certificates), std::move(*tickets));
        if (!context) error(fmt::format("listener {}: {}", listener.name, context.error().message));
    }

  private:
    void error(std::string message) { findings_.push_back({Severity::error, std::move(message)}); }

    /// Listeners that name the same files share their findings.
    const CertificateStore& store_of(const std::vector<std::string>& sources) {
        auto& store = stores_[sources];
        if (store != nullptr) return *store;
        auto made = std::make_shared<CertificateStore>(sources, kEveryKey);
        store = made;
        for (const CertificateProblem& problem : made->refresh().problems)
            findings_.push_back({Severity::warning, fmt::format("{}: {}", problem.file, problem.reason)});
        expiring(*made);
        return *store;
    }

    void expiring(const CertificateStore& store) {
        const std::int64_t now = std::time(nullptr);
        for (const ListedCertificate& certificate : store.certificates()) {
            const std::int64_t left = certificate.not_after - now;
            if (left < 0 || left > kSoonS) continue;
            findings_.push_back(
                {Severity::warning,
                 fmt::format("{}: it expires on {:%Y-%m-%d %H:%M} UTC, in {} days ({})", certificate.file,
                             fmt::gmtime(static_cast<std::time_t>(certificate.not_after)), left / kDayS,
                             names_of(certificate))});
        }
    }

    std::map<std::vector<std::string>, std::shared_ptr<const CertificateStore>> stores_;
    std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check(const config::Config& config) {
    Check check;
    for (const config::ListenerConfig& listener : config.listeners) {
        if (listener.tls) check.listener(listener);
    }
    return check.take();
}

std::string nothing_usable(const config::ListenerConfig& listener) {
    return fmt::format("listener {}: there is no usable certificate in {}", listener.name,
                       fmt::join(listener.tls->certificates, ", "));
}

std::string missing_default(const config::ListenerConfig& listener, const CertificateStore& store) {
    const std::string& name = listener.tls->default_name;
    if (name.empty() || !store.select(name).empty()) return {};
    return fmt::format(
        "listener {}: there is no certificate for the default, {}: clients that ask for no or an "
        "unknown name are refused",
        listener.name, name);
}

}  // namespace palier::tls
