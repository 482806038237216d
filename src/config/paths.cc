#include "config/paths.h"

#include "config/file.h"

#include <algorithm>

#include <fmt/format.h>

namespace palier::config {
namespace {

void cannot_be_used(TableReader& table, const Node& text, const std::string& path, const base::Error& why) {
    table.mistakes().add(text.place(), fmt::format("\"{}\" cannot be used: {}", path, why.message));
}

}  // namespace

void read_file_path(TableReader& table, std::string_view key, std::string& path) {
    const Node* text = table.text(key);
    if (text == nullptr) return;
    if (text->string.empty()) {
        path.clear();
        return;
    }
    std::string resolved = text->document->resolve(text->string);
    if (const auto usable = check_file(resolved); !usable) {
        cannot_be_used(table, *text, resolved, usable.error());
    } else {
        path = std::move(resolved);
    }
}

void read_source_paths(TableReader& table, std::string_view key, std::vector<std::string>& paths) {
    for (const Node* text : table.required_texts(key)) {
        if (text->string.empty()) {
            table.mistakes().add(text->place(), fmt::format("\"{}\" must hold paths", table.path_of(key)));
            continue;
        }
        std::string path = text->document->resolve(text->string);
        if (std::ranges::find(paths, path) != paths.end()) {
            table.mistakes().add(text->place(), fmt::format("\"{}\" is named twice", text->string));
        } else if (const auto usable = check_file_or_directory(path); !usable) {
            cannot_be_used(table, *text, path, usable.error());
        } else {
            paths.push_back(std::move(path));
        }
    }
}

}  // namespace palier::config
