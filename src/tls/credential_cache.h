// CredentialCache: parsed certificates and keys of the names that were asked for lately, shared by all
// workers. Thread: any. Owner: the store. Ends: with it.
#pragma once

#include "tls/credentials.h"

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace palier::tls {

class CredentialCache {
  public:
    explicit CredentialCache(std::size_t capacity) : capacity_(capacity) {}

    /// Those of this serial number, from `files` when they are not here yet. Null when they cannot be used,
    /// which is logged once and tried again from time to time: the cause may have been ours.
    [[nodiscard]] std::shared_ptr<const Credentials> find_or_load(
        std::uint64_t serial, const std::function<CredentialFiles()>& files);

    /// Null when they are not here.
    [[nodiscard]] std::shared_ptr<const Credentials> peek(std::uint64_t serial) const;
    /// Reads them without keeping them.
    [[nodiscard]] LoadedCredentials load(const CredentialFiles& files) {
        return load_credentials(files, pool_);
    }
    void insert(std::uint64_t serial, std::shared_ptr<const Credentials> credentials);
    /// The files have others now.
    void erase(const std::vector<std::uint64_t>& serials);

    [[nodiscard]] std::size_t size() const;
    /// Why those of this serial number could not be used; "" when they could, or nobody tried.
    [[nodiscard]] std::string failure(std::uint64_t serial) const;

  private:
    struct Item {
        std::uint64_t serial;
        std::shared_ptr<const Credentials> credentials;
    };
    struct Failure {
        std::string reason;
        std::uint64_t retry_at_ms;
    };

    /// With mutex_ held.
    void insert_locked(std::uint64_t serial, std::shared_ptr<const Credentials> credentials);

    const std::size_t capacity_;
    ChainPool pool_;
    mutable std::mutex mutex_;
    std::list<Item> recent_;  // the latest first; guarded by mutex_, as all below
    std::unordered_map<std::uint64_t, std::list<Item>::iterator> by_serial_;
    std::unordered_map<std::uint64_t, Failure> failures_;
};

}  // namespace palier::tls
