#include "tls/credential_cache.h"

#include "palier/base/clock.h"
#include "palier/base/log.h"

#include <utility>

namespace palier::tls {
namespace {

constexpr std::uint64_t kRetryMs = 10'000;

}  // namespace

std::shared_ptr<const Credentials> CredentialCache::find_or_load(
    std::uint64_t serial, const std::function<CredentialFiles()>& files) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = by_serial_.find(serial); found != by_serial_.end()) {
            recent_.splice(recent_.begin(), recent_, found->second);
            return found->second->credentials;
        }
        const auto failed = failures_.find(serial);
        if (failed != failures_.end() && base::monotonic_ms() < failed->second.retry_at_ms) return nullptr;
    }
    // Two threads may both get here for one certificate; the second's work is for nothing, and harmless.
    const CredentialFiles paths = files();
    LoadedCredentials loaded = load(paths);
    std::string complaint;
    {
        const std::lock_guard lock(mutex_);
        if (loaded) {
            failures_.erase(serial);
            insert_locked(serial, *loaded);
        } else {
            Failure& failure = failures_[serial];
            failure.retry_at_ms = base::monotonic_ms() + kRetryMs;
            if (failure.reason != loaded.error()) complaint = failure.reason = loaded.error();
        }
    }
    if (!complaint.empty()) base::log_warning("{}: {}", paths.certificate, complaint);
    if (!loaded) return nullptr;
    if (!(*loaded)->staple_problem.empty())
        base::log_warning("{}: {}; it is not stapled", paths.staple, (*loaded)->staple_problem);
    return *loaded;
}

std::shared_ptr<const Credentials> CredentialCache::peek(std::uint64_t serial) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_serial_.find(serial);
    return found == by_serial_.end() ? nullptr : found->second->credentials;
}

void CredentialCache::insert(std::uint64_t serial, std::shared_ptr<const Credentials> credentials) {
    const std::lock_guard lock(mutex_);
    insert_locked(serial, std::move(credentials));
}

void CredentialCache::insert_locked(std::uint64_t serial, std::shared_ptr<const Credentials> credentials) {
    if (by_serial_.contains(serial)) return;
    recent_.push_front({serial, std::move(credentials)});
    by_serial_[serial] = recent_.begin();
    if (recent_.size() <= capacity_) return;
    by_serial_.erase(recent_.back().serial);
    recent_.pop_back();
}

void CredentialCache::erase(const std::vector<std::uint64_t>& serials) {
    const std::lock_guard lock(mutex_);
    for (const std::uint64_t serial : serials) {
        failures_.erase(serial);
        const auto found = by_serial_.find(serial);
        if (found == by_serial_.end()) continue;
        recent_.erase(found->second);
        by_serial_.erase(found);
    }
}

std::size_t CredentialCache::size() const {
    const std::lock_guard lock(mutex_);
    return recent_.size();
}

std::string CredentialCache::failure(std::uint64_t serial) const {
    const std::lock_guard lock(mutex_);
    const auto found = failures_.find(serial);
    return found == failures_.end() ? std::string{} : found->second.reason;
}

}  // namespace palier::tls
