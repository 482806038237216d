#include "palier/tls/ticket_keys.h"

#include "tls/file_bytes.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

namespace palier::tls {
namespace {

constexpr std::size_t kMostKeys = 64;

void wipe(std::vector<TicketKey>& keys) {
    OPENSSL_cleanse(keys.data(), keys.size() * sizeof(TicketKey));
    keys.clear();
}

bool same(const TicketKey& a, const TicketKey& b) {
    return a.name == b.name && CRYPTO_memcmp(&a, &b, sizeof a) == 0;
}

std::optional<TicketKey> random_key() {
    TicketKey key{};
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&key), sizeof key) != 1) return std::nullopt;
    return key;
}

std::optional<std::vector<TicketKey>> split_keys(std::string_view bytes) {
    const std::size_t count = bytes.size() / sizeof(TicketKey);
    if (count == 0 || count > kMostKeys || bytes.size() % sizeof(TicketKey) != 0) return std::nullopt;
    std::vector<TicketKey> keys(count);
    std::memcpy(keys.data(), bytes.data(), bytes.size());
    return keys;
}

base::Result<std::vector<TicketKey>> read_keys(const std::string& path) {
    const auto bytes = FileBytes::read(path);
    if (!bytes) return base::failure(fmt::format("{}: {}", path, bytes.error()));
    auto keys = split_keys(bytes->view());
    if (keys) return std::move(*keys);
    return base::failure(fmt::format("{}: ticket keys are 80 bytes each, 1 to {} of them, not {} bytes", path,
                                     kMostKeys, bytes->view().size()));
}

}  // namespace

TicketKeys::TicketKeys(std::vector<TicketKey> keys, std::string path, Clock clock)
    : path_(std::move(path)), clock_(clock), keys_(std::move(keys)), rotate_at_(clock() + kRotateMs) {}

TicketKeys::~TicketKeys() {
    wipe(keys_);
}

base::Result<std::shared_ptr<TicketKeys>> TicketKeys::random(Clock clock) {
    const auto key = random_key();
    if (!key) return base::failure("there is no randomness for ticket keys");
    return std::shared_ptr<TicketKeys>(new TicketKeys({*key}, "", clock));
}

base::Result<std::shared_ptr<TicketKeys>> TicketKeys::from_file(std::string path) {
    auto keys = read_keys(path);
    if (!keys) return std::unexpected(keys.error());
    return std::shared_ptr<TicketKeys>(
        new TicketKeys(std::move(*keys), std::move(path), &base::monotonic_ms));
}

base::Result<std::shared_ptr<TicketKeys>> TicketKeys::imported(std::string_view bytes, Clock clock) {
    auto keys = split_keys(bytes);
    if (!keys) return base::failure("these are no ticket keys");
    return std::shared_ptr<TicketKeys>(new TicketKeys(std::move(*keys), "", clock));
}

std::string TicketKeys::exported() const {
    const std::lock_guard lock(mutex_);
    rotate_if_due();
    return {reinterpret_cast<const char*>(keys_.data()), keys_.size() * sizeof(TicketKey)};
}

base::Result<bool> TicketKeys::reread() {
    if (path_.empty()) return false;
    auto keys = read_keys(path_);
    if (!keys) return std::unexpected(keys.error());
    const std::lock_guard lock(mutex_);
    const bool changed = !std::ranges::equal(*keys, keys_, &same);
    std::swap(*keys, keys_);
    wipe(*keys);
    return changed;
}

TicketKey TicketKeys::current() const {
    const std::lock_guard lock(mutex_);
    rotate_if_due();
    return keys_.front();
}

std::optional<TicketKeys::Found> TicketKeys::find(const unsigned char* name) const {
    const std::lock_guard lock(mutex_);
    rotate_if_due();
    for (const TicketKey& key : keys_) {
        if (std::memcmp(key.name.data(), name, key.name.size()) == 0)
            return Found{key, &key == &keys_.front()};
    }
    return std::nullopt;
}

void TicketKeys::rotate_if_due() const {
    const std::uint64_t now = clock_();
    if (!path_.empty() || now < rotate_at_) return;
    const auto fresh = random_key();
    if (!fresh) return;  // later, then: a key in use for too long is better than none
    std::vector<TicketKey> keys{*fresh};
    // After two periods of silence, the key before is too old as well.
    if (now < rotate_at_ + kRotateMs) keys.push_back(keys_.front());
    std::swap(keys, keys_);
    wipe(keys);
    rotate_at_ = now + kRotateMs;
}

}  // namespace palier::tls
