#include "palier/tls/certificate_store.h"

#include "tls/certificate_reading.h"
#include "tls/host_name.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace palier::tls {
namespace {

using IndexPtr = std::shared_ptr<const CertificateIndex>;

std::string date_of(std::int64_t time) {
    return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(time)));
}

/// Whether `source` is this entry's file or its folder, or the folder above that.
bool belongs_to(std::string_view path, const std::string& source) {
    return path.starts_with(source) && (path.size() == source.size() || path[source.size()] == '/');
}

std::string names_of(const CertificateIndex& index, const IndexEntry& entry) {
    std::string names;
    for (std::uint32_t number = 0; number < entry.name_count; ++number)
        names.append(index.name(entry, number)).push_back('\n');
    return names;
}

/// What makes a new index of an old one and a fresh look at the files.
class Rebuild {
  public:
    Rebuild(const Scan& scan, const IndexPtr& old, std::vector<CertificateReading> readings,
            CredentialCache& cache, std::uint64_t& next_serial)
        : scan_(scan), old_(old), readings_(std::move(readings)), cache_(cache), next_serial_(next_serial) {}

    IndexPtr build(std::int64_t now, bool small, CertificateStore::Changes& changes,
                   std::vector<CertificateProblem>& problems) {
        if (nothing_changed()) {
            for (std::size_t i = 0; i < readings_.size(); ++i) {
                if (!readings_[i].problem.empty())
                    problems.push_back({scan_.path(scan_.files[i]), readings_[i].problem});
            }
            report(*old_, now, problems);
            return old_;
        }
        reserve();
        const auto entries = old_->entries();
        std::size_t at = 0;
        // Both in the order of paths: what only the old index has is gone, unless its source cannot be read.
        for (std::size_t i = 0; i < readings_.size(); ++i) {
            const CandidateFile& file = scan_.files[i];
            const std::pair<std::string_view, std::string_view> path{scan_.folders[file.folder], file.name};
            while (at < entries.size() && path_of(entries[at]) < path)
                leave(entries[at++], changes);
            const bool known = at < entries.size() && path_of(entries[at]) == path;
            take(file, readings_[i], known ? &entries[at] : nullptr, small, changes, problems);
            if (known) ++at;
        }
        while (at < entries.size())
            leave(entries[at++], changes);
        index_->finish(now);
        report(*index_, now, problems);
        cache_.erase(outdated_);
        return index_;
    }

  private:
    std::pair<std::string_view, std::string_view> path_of(const IndexEntry& entry) const {
        return {old_->folder(entry), old_->file(entry)};
    }

    /// The usual case, in which the index stays as it is.
    [[nodiscard]] bool nothing_changed() const {
        std::size_t unchanged = 0;
        for (const CertificateReading& reading : readings_) {
            if (reading.result == Reading::good || reading.result == Reading::kept) return false;
            if (reading.result == Reading::unchanged) ++unchanged;
        }
        return unchanged == old_->entries().size();
    }

    void reserve() {
        std::size_t names = 0;
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < readings_.size(); ++i) {
            const std::string& text = readings_[i].names;
            names += static_cast<std::size_t>(std::ranges::count(text, '\n'));
            bytes += text.size() + scan_.files[i].name.size() + 1;
        }
        if (old_->entries().empty()) index_->reserve(readings_.size(), names, bytes);
    }

    void copy(const IndexEntry& entry) {
        index_->add(entry, old_->folder(entry), old_->file(entry), names_of(*old_, entry));
        if (const KeptCredentials* kept = old_->kept(entry)) index_->keep(entry.serial, *kept);
    }

    void leave(const IndexEntry& entry, CertificateStore::Changes& changes) {
        const std::string path = old_->path(entry);
        if (std::ranges::any_of(scan_.unreadable, [&](const auto& lost) { return belongs_to(path, lost); }))
            return copy(entry);
        outdated_.push_back(entry.serial);
        ++changes.removed;
    }

    void take(const CandidateFile& file, CertificateReading& reading, const IndexEntry* old, bool small,
              CertificateStore::Changes& changes, std::vector<CertificateProblem>& problems) {
        const std::string path = reading.problem.empty() ? std::string{} : scan_.path(file);
        if (reading.result == Reading::unchanged) return copy(*old);
        if (!path.empty() && reading.result != Reading::kept) problems.push_back({path, reading.problem});
        if (!reading.staple_problem.empty())
            problems.push_back(
                {staple_path(scan_.path(file)), reading.staple_problem + "; it is not stapled"});
        if (reading.result == Reading::none) {
            if (old != nullptr) {
                outdated_.push_back(old->serial);
                ++changes.removed;
            }
            return;
        }
        const bool in_use = old != nullptr && (cache_.peek(old->serial) || old_->kept(*old));
        if (reading.result == Reading::good) {
            if (old == nullptr) {
                ++changes.added;
            } else {
                changes.renewed.push_back(scan_.path(file));
                outdated_.push_back(old->serial);
            }
            reading.entry.serial = next_serial_++;
            if (reading.credentials && (small || in_use))
                cache_.insert(reading.entry.serial, std::move(reading.credentials));
        } else {
            index_->keep(reading.entry.serial, {std::move(reading.credentials), reading.problem});
        }
        index_->add(reading.entry, scan_.folders[file.folder], file.name, reading.names);
    }

    /// What does not follow from the files' being read, but from what is in the index.
    static void report(const CertificateIndex& index, std::int64_t now,
                       std::vector<CertificateProblem>& problems) {
        const auto& rivals = index.rivals();
        problems.insert(problems.end(), rivals.begin(), rivals.end());
        for (const IndexEntry& entry : index.entries()) {
            if (const KeptCredentials* kept = index.kept(entry))
                problems.push_back({index.path(entry), kept->reason});
            if (entry.valid(now)) continue;
            problems.push_back({index.path(entry),
                                entry.not_after < now
                                    ? fmt::format("it expired on {}", date_of(entry.not_after))
                                    : fmt::format("it is not valid before {}", date_of(entry.not_before))});
        }
    }

    const Scan& scan_;
    const IndexPtr& old_;
    std::vector<CertificateReading> readings_;
    CredentialCache& cache_;
    std::uint64_t& next_serial_;
    std::shared_ptr<CertificateIndex> index_ = std::make_shared<CertificateIndex>();
    std::vector<std::uint64_t> outdated_;
};

}  // namespace

/// What lookups see.
struct CertificateStore::Shared {
    explicit Shared(std::size_t capacity) : cache(capacity) {}

    [[nodiscard]] IndexPtr current() const {
        const std::lock_guard lock(mutex);
        return index;
    }

    std::shared_ptr<const Credentials> credentials(const CertificateIndex& seen, const IndexEntry& entry) {
        if (const KeptCredentials* kept = seen.kept(entry)) return kept->credentials;
        return cache.find_or_load(entry.serial, [&] { return seen.files(entry); });
    }

    /// Adds the best usable certificate of each kind of key.
    void choose(const CertificateIndex& seen, std::span<const std::uint32_t> candidates, std::int64_t now,
                bool valid, CertificateSelection& selection) {
        const IndexEntry* last = nullptr;
        for (const std::uint32_t at : candidates) {
            const IndexEntry& entry = seen.entry(at);
            // Candidates are sorted by kind of key.
            if (entry.valid(now) != valid || (last != nullptr && last->key_type == entry.key_type)) continue;
            auto found = credentials(seen, entry);
            if (found == nullptr) continue;
            selection.push_back(std::move(found));
            last = &entry;
        }
    }

    mutable std::mutex mutex;
    IndexPtr index = std::make_shared<CertificateIndex>();  // guarded by mutex
    CredentialCache cache;
    std::uint64_t next_serial = 1;  // control only
};

std::string_view to_text(KeyType type) {
    switch (type) {
        case KeyType::rsa:
            return "RSA";
        case KeyType::rsa_pss:
            return "RSA-PSS";
        case KeyType::ecdsa:
            return "ECDSA";
        case KeyType::ed25519:
            return "Ed25519";
        case KeyType::ed448:
            return "Ed448";
        case KeyType::other:
            break;
    }
    return "unknown";
}

CertificateStore::CertificateStore(std::vector<std::string> sources, StoreLimits limits)
    : sources_(std::move(sources)), limits_(limits), shared_(std::make_unique<Shared>(limits.cached)) {}

CertificateStore::~CertificateStore() = default;

CertificateStore::Changes CertificateStore::refresh() {
    const std::int64_t now = std::time(nullptr);
    const IndexPtr old = shared_->current();
    Scan scan = scan_sources(sources_);
    const bool small = scan.files.size() <= limits_.verified;
    // Of a large store that is read for the first time, no key is looked at.
    const std::size_t verify = small || !old->entries().empty() ? limits_.verified : 0;
    Changes changes;
    std::vector<CertificateProblem> problems = std::move(scan.problems);
    Rebuild rebuild(scan, old, read_candidates({scan, *old, shared_->cache, verify, now}), shared_->cache,
                    shared_->next_serial);
    IndexPtr index = rebuild.build(now, small, changes, problems);
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->index = std::move(index);
    }
    std::ranges::sort(problems);
    std::ranges::set_difference(problems, problems_, std::back_inserter(changes.problems));
    problems_ = std::move(problems);
    folders_ = std::move(scan.watched);
    return changes;
}

std::size_t CertificateStore::size() const {
    return shared_->current()->entries().size();
}

std::vector<CertificateProblem> CertificateStore::problems() const {
    std::vector<CertificateProblem> all = problems_;
    const IndexPtr index = shared_->current();
    for (const IndexEntry& entry : index->entries()) {
        std::string reason = shared_->cache.failure(entry.serial);
        if (!reason.empty()) all.push_back({index->path(entry), std::move(reason)});
    }
    return all;
}

std::vector<ListedCertificate> CertificateStore::certificates() const {
    const IndexPtr index = shared_->current();
    std::vector<ListedCertificate> all;
    all.reserve(index->entries().size());
    for (const IndexEntry& entry : index->entries()) {
        ListedCertificate& listed = all.emplace_back();
        for (std::uint32_t number = 0; number < entry.name_count; ++number)
            listed.names.emplace_back(index->name(entry, number));
        listed.file = index->path(entry);
        listed.not_before = entry.not_before;
        listed.not_after = entry.not_after;
        listed.key_type = entry.key_type;
    }
    return all;
}

std::vector<std::string> CertificateStore::folders() const {
    return folders_;
}

CertificateSelection CertificateStore::select(std::string_view name) const {
    CertificateSelection selection;
    const HostName host(name);
    if (host.empty()) return selection;
    const std::int64_t now = std::time(nullptr);
    const IndexPtr index = shared_->current();
    const auto exact = index->find(host.view());
    const auto wildcard = index->find(host.wildcard().view());
    for (const bool valid : {true, false}) {
        for (const auto candidates : {exact, wildcard}) {
            shared_->choose(*index, candidates, now, valid, selection);
            if (!selection.empty()) return selection;
        }
    }
    return selection;
}

}  // namespace palier::tls
