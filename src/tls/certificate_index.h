// CertificateIndex: which certificates there are for a name. A lookup's cost does not grow with their number;
// a certificate with two names takes about 200 bytes. Thread: immutable once built, any thread. Owner: the
// store, and lookups under way. Ends: with the last.
#pragma once

#include "palier/tls/certificate_store.h"
#include "tls/certificate_scan.h"
#include "tls/credentials.h"

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace palier::tls {

/// A certificate file that can be served from.
struct IndexEntry {
    std::uint64_t serial = 0;  // another one for each content of its files
    std::uint64_t mark = 0;    // of its files, as they were read; 0: read them again
    std::int64_t not_before = 0;
    std::int64_t not_after = 0;
    std::uint32_t folder = 0;
    std::uint32_t file = 0;        // in the texts
    std::uint32_t first_name = 0;  // in the list of names
    std::uint32_t name_count = 0;
    KeyType key_type = KeyType::other;
    KeyBeside key = KeyBeside::nowhere;
    bool staple = false;

    [[nodiscard]] bool valid(std::int64_t now) const { return not_before <= now && now <= not_after; }
};

/// Which of two certificates for one name and kind of key is the better one.
[[nodiscard]] bool better(const IndexEntry& a, const IndexEntry& b, std::int64_t now);

/// What an entry serves although its files have become unusable.
struct KeptCredentials {
    std::shared_ptr<const Credentials> credentials;
    std::string reason;
};

class CertificateIndex {
  public:
    using Kept = std::unordered_map<std::uint64_t, KeptCredentials>;

    /// In the order of their paths, which add() must keep.
    [[nodiscard]] std::span<const IndexEntry> entries() const { return entries_; }
    [[nodiscard]] const IndexEntry& entry(std::uint32_t at) const { return entries_[at]; }
    [[nodiscard]] std::string_view folder(const IndexEntry& entry) const { return folders_[entry.folder]; }
    [[nodiscard]] std::string_view file(const IndexEntry& entry) const { return text(entry.file); }
    [[nodiscard]] std::string path(const IndexEntry& entry) const;
    [[nodiscard]] CredentialFiles files(const IndexEntry& entry) const;
    [[nodiscard]] std::string_view name(const IndexEntry& entry, std::uint32_t number) const {
        return text(names_[entry.first_name + number]);
    }
    [[nodiscard]] const KeptCredentials* kept(const IndexEntry& entry) const;

    /// The entries that carry this name, in its one form.
    [[nodiscard]] std::span<const std::uint32_t> find(std::string_view name) const;

    /// Files that lose a name to a better one, which the reason tells.
    [[nodiscard]] const std::vector<CertificateProblem>& rivals() const { return rivals_; }

    // Building, by one thread, before anybody else sees it.

    void reserve(std::size_t entries, std::size_t names, std::size_t bytes);
    /// `names`: each ended by '\n'. Fills in what places the entry in this index.
    void add(IndexEntry entry, std::string_view folder, std::string_view file, std::string_view names);
    void keep(std::uint64_t serial, KeptCredentials kept) { kept_[serial] = std::move(kept); }
    /// After the last add().
    void finish(std::int64_t now);

  private:
    struct Slot {
        std::uint32_t hash = 0;
        std::uint32_t name = 0;   // in the texts; 0: empty
        std::uint32_t first = 0;  // in the candidates
        std::uint32_t count = 0;
    };

    using Pair = std::pair<std::uint32_t, std::uint32_t>;  // of entries: the better, the other

    [[nodiscard]] std::string_view text(std::uint32_t at) const { return texts_.data() + at; }
    [[nodiscard]] std::uint32_t store_text(std::string_view text);
    [[nodiscard]] std::size_t slot_of(std::string_view name, std::uint32_t hash) const;
    void place_names();
    void fill_candidates();
    void rank(Slot& slot, std::int64_t now, std::set<Pair>& reported);

    std::vector<IndexEntry> entries_;
    std::vector<std::string> folders_;
    std::string texts_{'\0'};                // each ended by a NUL; the empty one first
    std::vector<std::uint32_t> names_;       // of each entry in turn
    std::vector<Slot> slots_;                // open addressing; a power of two
    std::vector<std::uint32_t> candidates_;  // entries, name by name
    std::vector<CertificateProblem> rivals_;
    Kept kept_;
};

}  // namespace palier::tls
