// CertificateStore: any number of certificates, found by the name that a client asks for.
//
// At load each file is outlined (names, validity, kind of key) into an immutable index; keys and chains are
// parsed when their name is first asked for, and the most recently used ones are kept. A refresh() looks at
// the files again and publishes another index. What cannot be used is a problem that names file and reason,
// and the other certificates serve. Where a file's new content cannot be used, the certificate that it had
// before stays as long as that is in memory: always in a small store, else when its name was asked for
// lately.
//
// Thread: select() any; all else control. Owner: the contexts of the listeners that share it, and whoever
// refreshes it. Ends: with the last of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace palier::tls {

struct Credentials;

enum class KeyType : std::uint8_t { rsa, rsa_pss, ecdsa, ed25519, ed448, other };

[[nodiscard]] std::string_view to_text(KeyType type);

struct CertificateProblem {
    std::string file;  // or the folder
    std::string reason;

    friend auto operator<=>(const CertificateProblem&, const CertificateProblem&) = default;
};

/// A certificate in use, for people.
struct ListedCertificate {
    std::vector<std::string> names;
    std::string file;
    std::int64_t not_before = 0;  // seconds since 1970
    std::int64_t not_after = 0;
    KeyType key_type = KeyType::other;
};

struct StoreLimits {
    std::size_t cached = 4'096;    // parsed keys and chains that are kept
    std::size_t verified = 1'000;  // up to so many certificates, all keys are parsed and compared at load
};

/// Certificates for one name, at most one for each kind of key.
using CertificateSelection = std::vector<std::shared_ptr<const Credentials>>;

class CertificateStore {
  public:
    struct Changes {
        std::vector<CertificateProblem> problems;  // which were not there before
        std::vector<std::string> renewed;          // files
        std::size_t added = 0;
        std::size_t removed = 0;
    };

    /// `sources`: directories and PEM files. Empty until the first refresh().
    explicit CertificateStore(std::vector<std::string> sources, StoreLimits limits = {});
    ~CertificateStore();
    CertificateStore(const CertificateStore&) = delete;
    CertificateStore& operator=(const CertificateStore&) = delete;

    /// Reads what is new or changed, and publishes the result.
    Changes refresh();

    /// Certificates that can be chosen.
    [[nodiscard]] std::size_t size() const;
    /// Every problem of the files as they are now; those of a large store's keys only once they were used.
    [[nodiscard]] std::vector<CertificateProblem> problems() const;
    [[nodiscard]] std::vector<ListedCertificate> certificates() const;
    /// The directories in which a change can matter, those of single files among them.
    [[nodiscard]] std::vector<std::string> folders() const;
    [[nodiscard]] const std::vector<std::string>& sources() const { return sources_; }

    /// Certificates for a host name: of exactly this name, else of a wildcard; valid ones before those that
    /// are not. Empty when there is none. Any spelling of the name will do.
    [[nodiscard]] CertificateSelection select(std::string_view name) const;

  private:
    struct Shared;

    std::vector<std::string> sources_;
    StoreLimits limits_;
    std::unique_ptr<Shared> shared_;
    std::vector<CertificateProblem> problems_;  // sorted
    std::vector<std::string> folders_;
};

}  // namespace palier::tls
