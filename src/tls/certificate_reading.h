// CertificateReading: one look at one candidate file: what it is now, and what becomes of what it was before.
// Thread: control, and those that help it at load. Values.
#pragma once

#include "tls/certificate_index.h"
#include "tls/credential_cache.h"

#include <memory>
#include <string>
#include <vector>

namespace palier::tls {

enum class Reading : std::uint8_t {
    none,       // holds no certificate that could be served
    unchanged,  // as the old index has it
    good,
    kept,  // its new content is unusable: the old one stays
};

struct CertificateReading {
    Reading result = Reading::none;
    IndexEntry entry;
    std::string names;
    std::string problem;  // of the files, whatever the result
    std::string staple_problem;
    std::shared_ptr<const Credentials> credentials;  // when they had to be loaded
};

struct ReadingContext {
    const Scan& scan;
    const CertificateIndex& old;
    CredentialCache& cache;
    std::size_t verify;  // so many new or changed files are compared with their keys, besides those in use
    std::int64_t now;
};

/// One reading for each of the scan's files.
[[nodiscard]] std::vector<CertificateReading> read_candidates(const ReadingContext& context);

}  // namespace palier::tls
