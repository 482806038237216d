// Which files may be certificates: a look at directories, without opening what is in them.
//
// In a directory a certificate is X.pem (any ending, in fact) with its key inside or in X.key, and X.ocsp
// beside it; or fullchain.pem with privkey.pem, also one level deeper, as certbot lays them out. Thread:
// control. Values.
#pragma once

#include "palier/tls/certificate_store.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace palier::tls {

/// Where a certificate's key is, if not in the same file.
enum class KeyBeside : std::uint8_t { nowhere, named, privkey };

struct CandidateFile {
    std::uint32_t folder = 0;  // in Scan::folders
    KeyBeside key = KeyBeside::nowhere;
    bool staple = false;  // there is an X.ocsp
    bool asked = false;   // the configuration names this file
    std::string name;
};

struct Scan {
    std::vector<std::string> folders;
    std::vector<CandidateFile> files;     // sorted by folder and name, each once
    std::vector<std::string> unreadable;  // sources that could not be looked at: what was there may still be
    std::vector<std::string> watched;     // folders in which a change matters
    std::vector<CertificateProblem> problems;

    [[nodiscard]] std::string path(const CandidateFile& file) const;
};

[[nodiscard]] Scan scan_sources(const std::vector<std::string>& sources);

/// The paths that go with a certificate's.
[[nodiscard]] std::string key_path(const std::string& certificate, KeyBeside key);
[[nodiscard]] std::string staple_path(const std::string& certificate);

}  // namespace palier::tls
