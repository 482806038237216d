#include "config/load_fixture.h"

namespace palier::config {
namespace {

TEST_CASE("included files add listeners, pools and routes") {
    const Folder folder;
    folder.write("conf.d/b.toml", "[[route]]\nhost = \"b.example\"\npool = \"rest\"\n");
    folder.write("conf.d/a.toml",
                 "[[route]]\nhost = \"a.example\"\npool = \"shop\"\n[[pool]]\nname = \"shop\"\n"
                 "[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n[log]\nlevel = \"debug\"\n");
    folder.write("conf.d/ignored.txt", "no toml");
    const auto loaded = load_file(folder.write("palier.toml", "include = [\"conf.d/*.toml\"]\n" + kRest));
    CHECK(to_strings(loaded).empty());
    REQUIRE(loaded);
    REQUIRE(loaded->routes.size() == 3);
    CHECK(loaded->routes[1].hosts == Strings{"a.example"});
    CHECK(loaded->routes[2].hosts == Strings{"b.example"});
    CHECK(loaded->pools.size() == 2);
    CHECK(loaded->log.level == LogLevel::debug);
}

TEST_CASE("relative paths start at the file that says them") {
    const Folder folder;
    folder.write("sites/shop/down.html", "down");
    folder.write("sites/shop/site.toml", "[[route]]\nrespond = { code = 503, file = \"down.html\" }\n");
    folder.write("sites/all.toml", "include = [\"shop/*.toml\"]\n");
    const auto loaded = load_file(folder.write("palier.toml", "include = \"sites/all.toml\"\n" + kRest));
    CHECK(to_strings(loaded).empty());
    REQUIRE(loaded);
    CHECK(std::get<RespondAction>(loaded->routes[1].action).body == "down");
}

TEST_CASE("mistakes come in the order of files and lines") {
    const Folder folder;
    const std::string included = folder.write("a.toml", "[[route]]\npool = \"rset\"\nnme = \"x\"\n");
    const std::string main = folder.write("palier.toml", "include = [\"a.toml\"]\n" + kRest + "wieght = 3\n");
    CHECK(to_strings(load_file(main)) ==
          Strings{main + ":14:1: unknown key \"pool.server.wieght\"; did you mean \"weight\"?",
                  included + ":2:8: there is no pool \"rset\"; did you mean \"rest\"?",
                  included + ":3:1: unknown key \"route.nme\""});
}

TEST_CASE("a pattern may match nothing, a plain name may not") {
    const Folder folder;
    CHECK(load_file(folder.write("palier.toml", "include = [\"conf.d/*.toml\"]\n" + kRest)));
    const std::string main = folder.write("palier.toml", "include = [\"missing.toml\"]\n" + kRest);
    CHECK(to_strings(load_file(main)) == Strings{main + ":1:12: \"" + folder.path("missing.toml") +
                                                 "\" cannot be read: No such file or directory"});
}

TEST_CASE("what is not a list of files may be set once in all of them") {
    const Folder folder;
    const std::string included = folder.write("a.toml", "workers = 2\n[log]\n[limits]\n");
    const std::string main =
        folder.write("palier.toml", "workers = 1\ninclude = [\"a.toml\"]\n[log]\n" + kRest);
    CHECK(to_strings(load_file(main)) ==
          Strings{included + ":1:1: \"workers\" is set twice; the first time at " + main + ":1:1",
                  included + ":2:2: \"log\" is set twice; the first time at " + main + ":3:2"});
}

TEST_CASE("names are unique over all files") {
    const Folder folder;
    const std::string included = folder.write(
        "a.toml", "[[pool]]\nname = \"rest\"\n[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n");
    const std::string main = folder.write("palier.toml", "include = [\"a.toml\"]\n" + kRest);
    CHECK(to_strings(load_file(main)) ==
          Strings{included + ":2:8: there are two pools \"rest\"; the first is at " + main + ":10:8"});
}

TEST_CASE("circles and repetitions of includes end in a mistake") {
    const Folder folder;
    const std::string a = folder.write("a.toml", "include = [\"b.toml\"]\n");
    const std::string b = folder.write("b.toml", "include = [\"a.toml\", \"palier.toml\"]\n");
    const std::string main = folder.write("palier.toml", "include = [\"a.toml\"]\n" + kRest);
    CHECK(to_strings(load_file(main)) ==
          Strings{
              b + ":1:12: \"" + a + "\" is included twice; the first time at " + main + ":1:12",
              b + ":1:22: \"" + main + "\" is the file that everything starts from: it cannot be included"});
}

TEST_CASE("a syntax error in an included file leaves the rest to be checked") {
    const Folder folder;
    const std::string included = folder.write("a.toml", "[[pool\n[[pool]]\nname = \"shop\"\n");
    const std::string main = folder.write(
        "palier.toml", "include = [\"a.toml\"]\nworkres = 1\n[[route]]\npool = \"shop\"\n" + kRest);
    CHECK(to_strings(load_file(main)) ==
          Strings{main + ":2:1: unknown key \"workres\"; did you mean \"workers\"?",
                  included + ":1:1: this is neither a key nor the header of a table"});
}

TEST_CASE("a file that cannot be read is the only mistake") {
    const Folder folder;
    CHECK(to_strings(load_file(folder.path("nowhere.toml"))) ==
          Strings{folder.path("nowhere.toml") + ": cannot be read: No such file or directory"});
    CHECK(to_strings(load_file(folder.path())) ==
          Strings{folder.path() + ": cannot be read: Is a directory"});
}

TEST_CASE("wildcards count in the pattern only, not in the folder") {
    const Folder folder;
    folder.write("a[b]*/conf.d/x.toml", "workers = 3\n");
    const auto loaded =
        load_file(folder.write("a[b]*/palier.toml", "include = [\"conf.d/*.toml\"]\n" + kRest));
    REQUIRE(loaded);
    CHECK(loaded->workers == 3);
}

}  // namespace
}  // namespace palier::config
