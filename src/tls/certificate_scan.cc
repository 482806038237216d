#include "tls/certificate_scan.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>
#include <tuple>

#include <dirent.h>
#include <sys/stat.h>

namespace palier::tls {
namespace {

constexpr std::string_view kFullChain = "fullchain.pem";
constexpr std::string_view kPrivateKey = "privkey.pem";

/// Endings of files that lie beside certificates, and of what editors and packages leave behind.
constexpr std::array<std::string_view, 12> kOtherEndings{".key", ".ocsp", ".csr", ".issuer", ".sctl", ".txt",
                                                         ".md",  ".bak",  ".old", ".tmp",    ".swp",  "~"};

std::string_view stem_of(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    const std::size_t slash = name.rfind('/');
    if (dot == std::string_view::npos || (slash != std::string_view::npos && dot < slash)) return name;
    return name.substr(0, dot);
}

bool may_be_certificate(std::string_view name) {
    return std::ranges::none_of(kOtherEndings, [&](std::string_view end) { return name.ends_with(end); });
}

enum class Kind : std::uint8_t { file, folder, other };

Kind kind_of(const std::string& path) {
    struct stat about {};
    if (::stat(path.c_str(), &about) != 0) return Kind::other;
    if (S_ISDIR(about.st_mode)) return Kind::folder;
    return S_ISREG(about.st_mode) ? Kind::file : Kind::other;
}

struct Listing {
    std::vector<std::string> files;  // sorted
    std::vector<std::string> folders;

    [[nodiscard]] bool has(std::string_view file) const { return std::ranges::binary_search(files, file); }
};

std::optional<Listing> list_folder(const std::string& path, int& error) {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (folder == nullptr) {
        error = errno;
        return std::nullopt;
    }
    Listing listing;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(folder.get());
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        if (name.starts_with('.')) continue;
        Kind kind = entry->d_type == DT_REG   ? Kind::file
                    : entry->d_type == DT_DIR ? Kind::folder
                                              : Kind::other;
        if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)
            kind = kind_of(path + '/' + std::string(name));
        if (kind == Kind::file) listing.files.emplace_back(name);
        if (kind == Kind::folder) listing.folders.emplace_back(name);
    }
    if (errno != 0) {
        error = errno;
        return std::nullopt;
    }
    std::ranges::sort(listing.files);
    return listing;
}

class Scanner {
  public:
    explicit Scanner(Scan& scan) : scan_(scan) {}

    void add_source(const std::string& source) {
        struct stat about {};
        if (::stat(source.c_str(), &about) != 0) return lose(source, errno);
        if (S_ISDIR(about.st_mode)) return add_folder(source);
        const std::size_t slash = source.rfind('/');
        const std::string folder = slash == std::string::npos ? "."
                                   : slash == 0               ? "/"
                                                              : source.substr(0, slash);
        const std::string name = slash == std::string::npos ? source : source.substr(slash + 1);
        add_file(folder, name,
                 [&](const std::string& beside) { return kind_of(folder + '/' + beside) == Kind::file; });
        scan_.files.back().asked = true;
        scan_.watched.push_back(folder);
    }

  private:
    void lose(const std::string& source, int error) {
        scan_.unreadable.push_back(source);
        scan_.problems.push_back({source, std::system_category().message(error)});
    }

    void add_folder(const std::string& path) {
        int error = 0;
        const auto listing = list_folder(path, error);
        if (!listing) return lose(path, error);
        scan_.watched.push_back(path);
        const auto beside = [&](const std::string& name) { return listing->has(name); };
        const bool certbot = listing->has(kFullChain) && listing->has(kPrivateKey);
        for (const std::string& name : listing->files) {
            if (!may_be_certificate(name)) continue;
            if (certbot && (name == "cert.pem" || name == "chain.pem" || name == kPrivateKey)) continue;
            add_file(path, name, beside);
        }
        for (const std::string& name : listing->folders)
            add_subfolder(path + '/' + name);
    }

    void add_subfolder(const std::string& path) {
        scan_.watched.push_back(path);
        const auto beside = [&](const std::string& name) { return kind_of(path + '/' + name) == Kind::file; };
        if (beside(std::string(kFullChain))) add_file(path, std::string(kFullChain), beside);
    }

    template <typename Beside>
    void add_file(const std::string& folder, const std::string& name, const Beside& beside) {
        if (scan_.folders.empty() || scan_.folders.back() != folder) scan_.folders.push_back(folder);
        const std::string stem(stem_of(name));
        CandidateFile& file = scan_.files.emplace_back();
        file.folder = static_cast<std::uint32_t>(scan_.folders.size() - 1);
        file.name = name;
        file.staple = beside(stem + ".ocsp");
        if (beside(stem + ".key")) {
            file.key = KeyBeside::named;
        } else if (name == kFullChain && beside(std::string(kPrivateKey))) {
            file.key = KeyBeside::privkey;
        }
    }

    Scan& scan_;
};

/// Brings the files into order; a file that several sources name stays once.
void sort_files(Scan& scan) {
    const auto key = [&](const CandidateFile& file) {
        return std::tuple<std::string_view, std::string_view, bool>(scan.folders[file.folder], file.name,
                                                                    !file.asked);
    };
    std::ranges::sort(scan.files, {}, key);
    const auto twice = std::ranges::unique(scan.files, [&](const auto& a, const auto& b) {
        return a.name == b.name && scan.folders[a.folder] == scan.folders[b.folder];
    });
    scan.files.erase(twice.begin(), twice.end());
    std::ranges::sort(scan.watched);
    const auto again = std::ranges::unique(scan.watched);
    scan.watched.erase(again.begin(), again.end());
}

}  // namespace

std::string Scan::path(const CandidateFile& file) const {
    return folders[file.folder] + '/' + file.name;
}

Scan scan_sources(const std::vector<std::string>& sources) {
    Scan scan;
    Scanner scanner(scan);
    for (std::string source : sources) {
        while (source.size() > 1 && source.ends_with('/'))
            source.pop_back();
        scanner.add_source(source);
    }
    sort_files(scan);
    return scan;
}

std::string key_path(const std::string& certificate, KeyBeside key) {
    switch (key) {
        case KeyBeside::named:
            return std::string(stem_of(certificate)) + ".key";
        case KeyBeside::privkey:
            return certificate.substr(0, certificate.rfind('/') + 1).append(kPrivateKey);
        case KeyBeside::nowhere:
            break;
    }
    return certificate;
}

std::string staple_path(const std::string& certificate) {
    return std::string(stem_of(certificate)) + ".ocsp";
}

}  // namespace palier::tls
