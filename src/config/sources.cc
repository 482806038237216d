#include "config/sources.h"

#include "config/expand.h"
#include "config/file.h"
#include "config/toml_parser.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_map>

#include <fmt/format.h>
#include <glob.h>

namespace palier::config {
namespace {

constexpr std::array<std::string_view, 3> kJoined{"listener", "pool", "route"};
constexpr std::string_view kWildcards = "*?[";

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return "";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string canonical(const std::string& path) {
    std::error_code error;
    const auto found = std::filesystem::canonical(path, error);
    return error ? path : found.string();
}

/// A path in which glob(3) finds no wildcards.
std::string escaped(const std::string& path) {
    std::string out;
    for (const char c : path) {
        if (c == '\\' || kWildcards.find(c) != std::string_view::npos) out += '\\';
        out += c;
    }
    return out;
}

/// The files that match, in alphabetical order.
std::vector<std::string> matches_of(const std::string& folder, const std::string& pattern) {
    const std::string from_folder =
        pattern.starts_with('/') || folder.empty() ? pattern : escaped(folder) + "/" + pattern;
    glob_t found{};
    std::vector<std::string> paths;
    if (::glob(from_folder.c_str(), 0, nullptr, &found) == 0) {
        paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    }
    ::globfree(&found);
    return paths;
}

}  // namespace

void Sources::add_file(const std::string& path) {
    const auto text = read_whole(path);
    if (!text) {
        mistakes_.add(path, fmt::format("cannot be read: {}", text.error().message));
        complete_ = false;
        return;
    }
    read_[canonical(path)] = {};
    add(*text, path, folder_of(path));
}

void Sources::add_text(const std::string& text, const std::string& name, const std::string& folder) {
    add(text, name, folder);
}

void Sources::add(const std::string& text, const std::string& name, const std::string& folder) {
    documents_.push_back(std::make_unique<Document>(name, folder, text));
    Document& document = *documents_.back();
    parse_toml(document, mistakes_);
    complete_ = complete_ && document.complete;
    expand_strings(document.root, mistakes_);
    follow_includes(document);
}

void Sources::follow_includes(const Document& document) {
    TableReader reader(document.root, "", mistakes_);
    for (const Node* pattern : reader.texts("include")) {
        include(document, *pattern);
    }
}

void Sources::include(const Document& document, const Node& pattern) {
    if (pattern.string.find_first_of(kWildcards) == std::string::npos) {
        include_file(document, pattern, document.resolve(pattern.string));
        return;
    }
    for (const std::string& path : matches_of(document.folder, pattern.string)) {
        include_file(document, pattern, path);
    }
}

void Sources::include_file(const Document& document, const Node& pattern, const std::string& path) {
    const auto text = read_whole(path);
    if (!text) {
        mistakes_.add(pattern.place(), fmt::format("\"{}\" cannot be read: {}", path, text.error().message));
        complete_ = false;
        return;
    }
    const auto [earlier, first_time] = read_.try_emplace(canonical(path), Origin{&document, pattern.place()});
    if (first_time) {
        add(*text, path, folder_of(path));
    } else if (earlier->second.document == nullptr) {
        mistakes_.add(
            pattern.place(),
            fmt::format("\"{}\" is the file that everything starts from: it cannot be included", path));
    } else {
        mistakes_.add(pattern.place(), fmt::format("\"{}\" is included twice; the first time at {}", path,
                                                   to_string(earlier->second.place)));
    }
}

std::vector<const Document*> Sources::order() const {
    std::vector<const Document*> all;
    for (const auto& document : documents_) {
        all.push_back(document.get());
    }
    return all;
}

TableReader Sources::root() {
    std::vector<const Node::Entry*> entries;
    std::unordered_map<std::string_view, const Node::Entry*> first;
    for (const auto& document : documents_) {
        for (const Node::Entry& entry : document->root.entries) {
            if (entry.key == "include") continue;
            const auto [earlier, first_time] = first.try_emplace(entry.key, &entry);
            const bool joined = std::ranges::find(kJoined, entry.key) != kJoined.end();
            if (first_time || joined) {
                entries.push_back(&entry);
            } else {
                mistakes_.add(entry.key_place(),
                              fmt::format("\"{}\" is set twice; the first time at {}", entry.key,
                                          to_string(earlier->second->key_place())));
            }
        }
    }
    return TableReader(std::move(entries), documents_.front()->root.place(), mistakes_);
}

}  // namespace palier::config
