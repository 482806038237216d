#include "tls/certificate_index.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include <fmt/format.h>

namespace palier::tls {
namespace {

constexpr std::uint32_t kMostRivals = 8;  // of one name and kind of key

std::uint32_t hash_of(std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char byte : name)
        hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

bool better(const IndexEntry& a, const IndexEntry& b, std::int64_t now) {
    return std::tuple(a.valid(now), a.not_after, a.not_before) >
           std::tuple(b.valid(now), b.not_after, b.not_before);
}

std::string CertificateIndex::path(const IndexEntry& entry) const {
    return fmt::format("{}/{}", folder(entry), file(entry));
}

CredentialFiles CertificateIndex::files(const IndexEntry& entry) const {
    CredentialFiles files;
    files.certificate = path(entry);
    files.key = key_path(files.certificate, entry.key);
    if (entry.staple) files.staple = staple_path(files.certificate);
    return files;
}

const KeptCredentials* CertificateIndex::kept(const IndexEntry& entry) const {
    if (kept_.empty()) return nullptr;
    const auto found = kept_.find(entry.serial);
    return found == kept_.end() ? nullptr : &found->second;
}

std::span<const std::uint32_t> CertificateIndex::find(std::string_view name) const {
    if (slots_.empty()) return {};
    const Slot& slot = slots_[slot_of(name, hash_of(name))];
    if (slot.name == 0) return {};
    return std::span(candidates_).subspan(slot.first, slot.count);
}

/// The slot of this name, or the empty one where it would go. There is always an empty one.
std::size_t CertificateIndex::slot_of(std::string_view name, std::uint32_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].name != 0 && (slots_[at].hash != hash || text(slots_[at].name) != name))
        at = (at + 1) & mask;
    return at;
}

void CertificateIndex::reserve(std::size_t entries, std::size_t names, std::size_t bytes) {
    entries_.reserve(entries);
    names_.reserve(names);
    texts_.reserve(bytes + 1);
}

std::uint32_t CertificateIndex::store_text(std::string_view text) {
    const auto at = static_cast<std::uint32_t>(texts_.size());
    texts_.append(text).push_back('\0');
    return at;
}

void CertificateIndex::add(IndexEntry entry, std::string_view folder, std::string_view file,
                           std::string_view names) {
    if (folders_.empty() || folders_.back() != folder) folders_.emplace_back(folder);
    entry.folder = static_cast<std::uint32_t>(folders_.size() - 1);
    entry.file = store_text(file);
    entry.first_name = static_cast<std::uint32_t>(names_.size());
    while (!names.empty()) {
        const std::size_t end = names.find('\n');
        names_.push_back(store_text(names.substr(0, end)));
        names.remove_prefix(end + 1);
    }
    entry.name_count = static_cast<std::uint32_t>(names_.size()) - entry.first_name;
    entries_.push_back(entry);
}

void CertificateIndex::finish(std::int64_t now) {
    place_names();
    fill_candidates();
    std::set<Pair> reported;
    for (Slot& slot : slots_) {
        if (slot.count > 1) rank(slot, now, reported);
    }
}

/// Gives each name its slot and counts its entries.
void CertificateIndex::place_names() {
    slots_.assign(std::bit_ceil(names_.size() * 4 / 3 + 2), Slot{});
    for (const std::uint32_t name : names_) {
        const std::uint32_t hash = hash_of(text(name));
        Slot& slot = slots_[slot_of(text(name), hash)];
        if (slot.name == 0) slot = {hash, name, 0, 0};
        ++slot.count;
    }
}

void CertificateIndex::fill_candidates() {
    candidates_.resize(names_.size());
    std::uint32_t first = 0;
    for (Slot& slot : slots_) {
        slot.first = first;
        first += slot.count;
        slot.count = 0;
    }
    for (std::uint32_t at = 0; at < entries_.size(); ++at) {
        const IndexEntry& entry = entries_[at];
        for (std::uint32_t number = 0; number < entry.name_count; ++number) {
            const std::string_view wanted = name(entry, number);
            Slot& slot = slots_[slot_of(wanted, hash_of(wanted))];
            // A certificate may say a name twice.
            if (slot.count != 0 && candidates_[slot.first + slot.count - 1] == at) continue;
            candidates_[slot.first + slot.count++] = at;
        }
    }
}

/// Brings a name's certificates into the order of preference and drops those that will never have their turn.
void CertificateIndex::rank(Slot& slot, std::int64_t now, std::set<Pair>& reported) {
    const auto rivals = std::span(candidates_).subspan(slot.first, slot.count);
    // Of equals, the first path.
    std::ranges::sort(rivals, [&](std::uint32_t a, std::uint32_t b) {
        const IndexEntry& one = entries_[a];
        const IndexEntry& other = entries_[b];
        if (one.key_type != other.key_type) return one.key_type < other.key_type;
        if (better(one, other, now)) return true;
        return !better(other, one, now) && a < b;
    });
    std::uint32_t kept = 0;
    std::uint32_t best = 0;
    std::uint32_t place = 0;
    for (const std::uint32_t at : rivals) {
        if (kept == 0 || entries_[at].key_type != entries_[best].key_type) {
            best = at;
            place = 0;
        } else if (reported.emplace(best, at).second) {
            rivals_.push_back({path(entries_[at]),
                               fmt::format("{} is for the same name ({}) and kind of key, and is preferred "
                                           "because it is valid for longer",
                                           path(entries_[best]), text(slot.name))});
        }
        if (place++ < kMostRivals) rivals[kept++] = at;
    }
    slot.count = kept;
}

}  // namespace palier::tls
