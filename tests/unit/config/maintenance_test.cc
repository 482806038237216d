#include "config/load_fixture.h"

namespace palier::config {
namespace {

const std::string kServer = "[[pool.server]]\nname = \"s\"\naddress = \"s:1\"\n";

std::string pool_with(const std::string& maintenance) {
    return "[[pool]]\nname = \"p\"\n[pool.maintenance]\n" + maintenance + kServer;
}

Loaded load_in(const Folder& folder, const std::string& maintenance) {
    return load_text(pool_with(maintenance) + kRest, "t", folder.path());
}

TEST_CASE("without a maintenance page palier's own is given, for a minute") {
    CHECK(config_of(pool_with("")).pools[0].maintenance == MaintenanceConfig{});
    CHECK(config_of("").pools[0].maintenance.retry_after == Duration(60'000));
}

TEST_CASE("a maintenance page is read with the configuration, its type is that of its name") {
    const Folder folder;
    folder.write("back.html", "<p>back at nine</p>");
    folder.write("back.json", "{}");
    const auto html = load_in(folder, "file = \"back.html\"\nretry_after = \"10m\"\n");
    REQUIRE(html);
    CHECK(html->pools[0].maintenance ==
          MaintenanceConfig{"<p>back at nine</p>", "text/html; charset=utf-8", Duration(600'000)});
    const auto json = load_in(folder, "file = \"back.json\"\n");
    REQUIRE(json);
    CHECK(json->pools[0].maintenance.content_type == "application/json");
}

TEST_CASE("a maintenance page that cannot be used is told with the reason") {
    const Folder folder;
    const auto mistakes = [&](const std::string& name) {
        return to_strings(load_in(folder, "file = \"" + name + "\"\n"));
    };
    const auto expected = [&](const std::string& name, const std::string& reason) {
        return Strings{"t:4:8: \"" + folder.path(name) + "\" cannot be used: " + reason};
    };
    CHECK(mistakes("none.html") == expected("none.html", "No such file or directory"));
    folder.write("empty.html", "");
    CHECK(mistakes("empty.html") == expected("empty.html", "it is empty"));
    folder.write("large.html", std::string((1 << 20) + 1, 'x'));
    CHECK(mistakes("large.html") == expected("large.html", "it is larger than 1MiB"));
    CHECK(mistakes(".") ==
          Strings{"t:4:8: \"" + folder.path() + "/.\" cannot be used: it is not a regular file"});
}

TEST_CASE("what else may be wrong with a maintenance table") {
    CHECK(mistakes_in(pool_with("retry_after = \"500ms\"\n")) ==
          Strings{"t:4:15: \"pool.maintenance.retry_after\" must be from \"1s\" to \"7d\", not \"500ms\""});
    CHECK(mistakes_in(pool_with("retry_after = 60\n")).size() == 1);
    CHECK(mistakes_in(pool_with("file = 1\n")) ==
          Strings{"t:4:8: \"pool.maintenance.file\" must be a string, not a number"});
    CHECK(mistakes_in(pool_with("flie = \"x\"\n")) ==
          Strings{"t:4:1: unknown key \"pool.maintenance.flie\"; did you mean \"file\"?"});
    CHECK(mistakes_in(pool_with("retries = 1\n")) ==
          Strings{"t:4:1: \"retries\" belongs to [[pool]], above [pool.maintenance]"});
    CHECK(mistakes_in("[[pool]]\nname = \"p\"\nmaintenance = \"on\"\n" + kServer) ==
          Strings{"t:3:15: \"pool.maintenance\" must be a table, not a string"});
}

}  // namespace
}  // namespace palier::config
