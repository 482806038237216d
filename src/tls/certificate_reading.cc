#include "tls/certificate_reading.h"

#include "tls/file_bytes.h"
#include "tls/pem.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace palier::tls {
namespace {

constexpr std::size_t kWorthThreads = 256;  // files
constexpr unsigned kThreads = 2;

/// Reads one candidate.
class Reader {
  public:
    Reader(const ReadingContext& context, std::atomic<std::size_t>& verified)
        : context_(context), verified_(verified) {}

    CertificateReading read(const CandidateFile& file, const IndexEntry* old) {
        CertificateReading reading;
        files_.certificate = context_.scan.path(file);
        files_.key = key_path(files_.certificate, file.key);
        files_.staple = file.staple ? staple_path(files_.certificate) : "";
        const FileMark mark = mark_files();
        if (old != nullptr && old->mark == mark.mark) {
            reading.result = Reading::unchanged;
            return reading;
        }
        reading.entry.mark = mark.recent ? 0 : mark.mark;
        reading.entry.key = file.key;
        reading.entry.staple = file.staple;
        // A file that is written anew may be empty for a moment.
        const bool expected = file.asked || old != nullptr;
        if (outline(reading, expected) && worth_verifying(old)) verify(reading);
        if (old != nullptr && reading.result == Reading::good) keep_valid(reading, *old);
        if (old != nullptr && reading.result == Reading::none && !reading.problem.empty())
            keep(reading, *old);
        return reading;
    }

  private:
    [[nodiscard]] FileMark mark_files() const {
        FileMark mark = mark_of(files_.certificate);
        if (files_.key != files_.certificate) mark.join(mark_of(files_.key));
        if (!files_.staple.empty()) mark.join(mark_of(files_.staple));
        return mark;
    }

    /// False when there is nothing to serve.
    bool outline(CertificateReading& reading, bool expected) {
        const auto bytes = FileBytes::read(files_.certificate);
        if (!bytes) return fail(reading, bytes.error());
        const auto contents = read_pem(bytes->view());
        if (!contents) return fail(reading, contents.error());
        if (contents->certificates.empty()) return expected && fail(reading, "there is no certificate in it");
        std::size_t leaf = 0;
        auto outlined = outline_leaf(*contents, leaf, der_);
        if (!outlined) return fail(reading, "its certificate is damaged");
        const bool has_key = contents->key || files_.key != files_.certificate;
        // An authority's certificate without a key is there for other programs.
        if (!has_key && outlined->authority && !expected) return false;
        if (!has_key)
            return fail(reading, "there is no private key, neither in it nor in a .key file beside it");
        if (outlined->key_type == KeyType::other) return fail(reading, "its kind of key is unknown");
        if (outlined->names.empty()) return fail(reading, "it names no host");
        reading.entry.not_before = outlined->not_before;
        reading.entry.not_after = outlined->not_after;
        reading.entry.key_type = outlined->key_type;
        reading.names = std::move(outlined->names);
        reading.result = Reading::good;
        return true;
    }

    static bool fail(CertificateReading& reading, std::string reason) {
        reading.result = Reading::none;
        reading.problem = std::move(reason);
        return false;
    }

    /// What is in use must not be lost to a broken renewal.
    bool worth_verifying(const IndexEntry* old) {
        if (old != nullptr && old_credentials(*old) != nullptr) return true;
        return verified_.fetch_add(1) < context_.verify;
    }

    void verify(CertificateReading& reading) {
        LoadedCredentials loaded = context_.cache.load(files_);
        if (!loaded) {
            fail(reading, loaded.error());
            return;
        }
        reading.staple_problem = (*loaded)->staple_problem;
        reading.credentials = std::move(*loaded);
    }

    [[nodiscard]] std::shared_ptr<const Credentials> old_credentials(const IndexEntry& old) const {
        if (const KeptCredentials* kept = context_.old.kept(old)) return kept->credentials;
        return context_.cache.peek(old.serial);
    }

    /// A renewal that nobody would accept is no better than a broken one.
    void keep_valid(CertificateReading& reading, const IndexEntry& old) {
        if (reading.entry.valid(context_.now) || !old.valid(context_.now)) return;
        if (old_credentials(old) == nullptr) return;
        fail(reading, "it is not valid now");
    }

    void keep(CertificateReading& reading, const IndexEntry& old) {
        auto credentials = old_credentials(old);
        if (credentials == nullptr) return;
        const std::uint64_t mark = reading.entry.mark;
        reading.result = Reading::kept;
        reading.entry = old;
        reading.entry.mark = mark;
        reading.names.clear();
        for (std::uint32_t number = 0; number < old.name_count; ++number)
            reading.names.append(context_.old.name(old, number)).push_back('\n');
        reading.credentials = std::move(credentials);
        reading.staple_problem.clear();
        reading.problem += "; the certificate that it had before stays in use";
    }

    const ReadingContext& context_;
    std::atomic<std::size_t>& verified_;
    CredentialFiles files_;
    std::string der_;
};

/// The old entry of each of the scan's files, or null. Both are in the order of paths.
std::vector<const IndexEntry*> match(const Scan& scan, const CertificateIndex& old) {
    std::vector<const IndexEntry*> matches(scan.files.size(), nullptr);
    const auto entries = old.entries();
    std::size_t at = 0;
    for (std::size_t i = 0; i < scan.files.size(); ++i) {
        const CandidateFile& file = scan.files[i];
        const std::pair<std::string_view, std::string_view> wanted{scan.folders[file.folder], file.name};
        const auto path = [&](const IndexEntry& entry) {
            return std::pair<std::string_view, std::string_view>{old.folder(entry), old.file(entry)};
        };
        while (at < entries.size() && path(entries[at]) < wanted)
            ++at;
        if (at < entries.size() && path(entries[at]) == wanted) matches[i] = &entries[at];
    }
    return matches;
}

}  // namespace

std::vector<CertificateReading> read_candidates(const ReadingContext& context) {
    const std::size_t count = context.scan.files.size();
    const auto old = match(context.scan, context.old);
    std::vector<CertificateReading> readings(count);
    std::atomic<std::size_t> next{0};
    std::atomic<std::size_t> verified{0};
    const auto work = [&] {
        Reader reader(context, verified);
        for (std::size_t i = next++; i < count; i = next++)
            readings[i] = reader.read(context.scan.files[i], old[i]);
    };
    const bool many = count >= kWorthThreads && context.old.entries().empty();
    std::vector<std::jthread> others;
    for (unsigned thread = 1; many && thread < kThreads; ++thread)
        others.emplace_back(work);
    work();
    others.clear();
    return readings;
}

}  // namespace palier::tls
