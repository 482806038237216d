#include "palier/net/folder_watcher.h"

#include "catch.h"
#include "loop_fixture.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include <stdlib.h>

using namespace palier::net;
using namespace palier::test;

namespace {

struct Watching {
    Watching() {
        std::string name = (std::filesystem::temp_directory_path() / "palier-watch-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        root = name;
        std::filesystem::create_directories(path("a"));
        std::filesystem::create_directories(path("b"));
        watcher.emplace(loop, [this](const std::string& folder, std::string_view entry) {
            seen.push_back(folder.substr(root.size() + 1) + "/" + std::string(entry));
        });
    }
    ~Watching() {
        watcher.reset();
        std::filesystem::remove_all(root);
    }

    [[nodiscard]] std::string path(const std::string& name) const { return root + "/" + name; }
    void write(const std::string& name) const { std::ofstream(path(name)) << name; }
    void rename(const std::string& from, const std::string& to) const {
        std::filesystem::rename(path(from), path(to));
    }
    /// Whether this change is told; forgets what was told before.
    [[nodiscard]] bool sees(const std::string& change) {
        const bool told = run_until(loop, [&] { return std::ranges::count(seen, change) != 0; });
        seen.clear();
        return told;
    }

    Loop loop;
    std::string root;
    std::vector<std::string> seen;
    std::optional<FolderWatcher> watcher;
};

}  // namespace

TEST_CASE("files that are made, written, renamed and removed are told") {
    Watching watching;
    CHECK(watching.watcher->watch({watching.path("a"), watching.path("b")}).empty());
    watching.write("a/1");
    CHECK(watching.sees("a/1"));
    watching.write("a/1");
    CHECK(watching.sees("a/1"));
    watching.rename("a/1", "b/2");
    CHECK(watching.sees("b/2"));
    std::filesystem::remove(watching.path("b/2"));
    CHECK(watching.sees("b/2"));
    std::filesystem::create_symlink("nowhere", watching.path("a/link"));
    CHECK(watching.sees("a/link"));
}

TEST_CASE("folders that are no longer wanted are no longer told of") {
    Watching watching;
    CHECK(watching.watcher->watch({watching.path("a"), watching.path("b")}).empty());
    CHECK(watching.watcher->watch({watching.path("b")}).empty());
    watching.write("a/1");
    watching.write("b/1");
    CHECK(run_until(watching.loop, [&] { return !watching.seen.empty(); }));
    CHECK(std::ranges::count(watching.seen, "a/1") == 0);
}

TEST_CASE("a folder that was replaced is watched anew when it is asked for again") {
    Watching watching;
    CHECK(watching.watcher->watch({watching.path("a")}).empty());
    watching.rename("a", "old");
    std::filesystem::create_directory(watching.path("a"));
    CHECK(watching.watcher->watch({watching.path("a")}).empty());
    watching.seen.clear();
    watching.write("a/1");
    CHECK(watching.sees("a/1"));
}

TEST_CASE("a folder that is not there is an error, and the others are watched") {
    Watching watching;
    const auto errors = watching.watcher->watch({watching.path("gone"), watching.path("b")});
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].message == watching.path("gone") + ": No such file or directory");
    watching.write("b/1");
    CHECK(watching.sees("b/1"));
    std::filesystem::create_directory(watching.path("gone"));
    CHECK(watching.watcher->watch({watching.path("gone")}).empty());
    watching.write("gone/1");
    CHECK(watching.sees("gone/1"));
}

TEST_CASE("the watcher may be changed and destroyed while it tells") {
    Watching watching;
    int told = 0;
    watching.watcher.emplace(watching.loop, [&](const std::string&, std::string_view) {
        ++told;
        watching.watcher->watch({});
    });
    CHECK(watching.watcher->watch({watching.path("a")}).empty());
    watching.write("a/1");
    watching.write("a/2");
    CHECK(run_until(watching.loop, [&] { return told != 0; }));
    CHECK(watching.watcher->watch({watching.path("a")}).empty());
    watching.write("a/3");
    watching.watcher.reset();
    watching.loop.run_once(0);
}
