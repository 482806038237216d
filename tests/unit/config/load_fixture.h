// Configurations in tests: a snippet under test in front of a small complete file.
#pragma once

#include "catch.h"
#include "palier/config/load.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <stdlib.h>

namespace palier::config {

/// Comes after the snippet, so that line numbers are the snippet's.
inline const std::string kRest = R"(
[[listener]]
name = "rest"
address = "127.0.0.1:0"
[[route]]
host = "rest.example"
pool = "rest"
[[pool]]
name = "rest"
[[pool.server]]
name = "a"
address = "127.0.0.1:8081"
)";

inline std::vector<std::string> to_strings(const Loaded& loaded) {
    std::vector<std::string> all;
    if (loaded) return all;
    for (const Mistake& mistake : loaded.error()) {
        all.push_back(mistake.to_string());
    }
    return all;
}

using Strings = std::vector<std::string>;

/// Every mistake in a whole file that is called "t".
inline Strings mistakes_in_all(const std::string& text) {
    return to_strings(load_text(text, "t", ""));
}

inline Strings mistakes_in(const std::string& snippet) {
    return mistakes_in_all(snippet + kRest);
}

inline Config config_of(const std::string& snippet) {
    auto loaded = load_text(snippet + kRest, "t", "");
    for (const std::string& mistake : to_strings(loaded)) {
        UNSCOPED_INFO(mistake);
    }
    REQUIRE(loaded);
    return *loaded;
}

/// A folder of its own, removed at the end.
class Folder {
  public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "palier-config-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string path(const std::string& name = "") const {
        return name.empty() ? path_ : path_ + "/" + name;
    }
    std::string write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }

  private:
    std::string path_;
};

/// Sets an environment variable for as long as it lives.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    ~Variable() { ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* name_;
};

}  // namespace palier::config
