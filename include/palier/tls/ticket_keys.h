// TicketKeys: what seals and opens session tickets (RFC 5077 section 4, RFC 8446 section 4.6.1). All workers
// share them, so that a session resumes on any of them.
//
// Without a file they are random, and replaced every 12 hours; what the key before sealed is still opened,
// and sealed anew. From a file, several machines share them: the first key seals, all open.
//
// Thread: any; reread() control. Owner: the listeners' contexts. Ends: with the last of them.
#pragma once

#include "palier/base/clock.h"
#include "palier/base/result.h"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace palier::tls {

struct TicketKey {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> hmac;
    std::array<unsigned char, 32> aes;
};
static_assert(sizeof(TicketKey) == 80);

class TicketKeys {
  public:
    static constexpr std::uint64_t kRotateMs = 12 * 3'600'000ULL;
    using Clock = std::uint64_t (*)();  // milliseconds, monotonic

    /// Random ones. Fails without entropy.
    [[nodiscard]] static base::Result<std::shared_ptr<TicketKeys>> random(Clock clock = &base::monotonic_ms);
    /// Those of a file: 80 bytes each, of which 16 are the name, 32 for the HMAC, 32 for AES.
    [[nodiscard]] static base::Result<std::shared_ptr<TicketKeys>> from_file(std::string path);
    /// What exported() gave, in another process; replaced in time as random ones are.
    [[nodiscard]] static base::Result<std::shared_ptr<TicketKeys>> imported(
        std::string_view bytes, Clock clock = &base::monotonic_ms);
    ~TicketKeys();
    TicketKeys(const TicketKeys&) = delete;
    TicketKeys& operator=(const TicketKeys&) = delete;

    /// As a file has them. They are secret.
    [[nodiscard]] std::string exported() const;

    /// The file as it is now; a failure leaves the keys as they were. Nothing to do for random ones. True
    /// when they have become others.
    [[nodiscard]] base::Result<bool> reread();
    /// "" for random ones.
    [[nodiscard]] const std::string& path() const { return path_; }

    /// The key that seals.
    [[nodiscard]] TicketKey current() const;
    struct Found {
        TicketKey key;
        bool current;  // otherwise the ticket should be replaced
    };
    /// The key of this name (16 bytes); nothing when it is too old, or was never ours.
    [[nodiscard]] std::optional<Found> find(const unsigned char* name) const;

  private:
    TicketKeys(std::vector<TicketKey> keys, std::string path, Clock clock);

    /// With mutex_ held: replaces random keys that have served their time.
    void rotate_if_due() const;

    const std::string path_;
    const Clock clock_;
    mutable std::mutex mutex_;
    mutable std::vector<TicketKey> keys_;  // the one that seals first; guarded by mutex_
    mutable std::uint64_t rotate_at_ = 0;  // guarded by mutex_
};

}  // namespace palier::tls
