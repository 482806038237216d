#include "config/load_fixture.h"

#include <fmt/format.h>

namespace palier::config {
namespace {

/// The hsts stands in line 4.
Loaded load_hsts(const std::string& value) {
    const Folder folder;
    folder.write("site.pem", "x");
    return load_text(fmt::format("[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\nhsts = {}\n"
                                 "[listener.tls]\ncertificates = \"site.pem\"\n{}",
                                 value, kRest),
                     "t", folder.path());
}

std::string hsts_of(const std::string& value) {
    const auto loaded = load_hsts(value);
    CHECK(to_strings(loaded) == Strings{});
    REQUIRE(loaded);
    return loaded->listeners[0].hsts;
}

TEST_CASE("hsts becomes a field's value") {
    CHECK(hsts_of("{ max_age = \"365d\" }") == "max-age=31536000");
    CHECK(hsts_of("{ max_age = \"0s\" }") == "max-age=0");
    CHECK(hsts_of("{ max_age = \"2h\", include_subdomains = true, preload = false }") ==
          "max-age=7200; includeSubDomains");
    CHECK(hsts_of("{ max_age = \"730d\", include_subdomains = true, preload = true }") ==
          "max-age=63072000; includeSubDomains; preload");
}

TEST_CASE("the age in hsts is whole seconds, and must be said") {
    CHECK(to_strings(load_hsts("{}")) == Strings{"t:4:8: \"listener.hsts.max_age\" is missing"});
    CHECK(to_strings(load_hsts("{ max_age = \"1500ms\" }")) ==
          Strings{"t:4:10: \"listener.hsts.max_age\" must be whole seconds"});
    CHECK(to_strings(load_hsts("{ max_age = \"3651d\" }")) ==
          Strings{"t:4:20: \"listener.hsts.max_age\" must be from \"0s\" to \"3650d\", not \"3651d\""});
    CHECK(to_strings(load_hsts("{ max_age = 31536000, preload = true, include_subdomains = true }")) ==
          Strings{"t:4:20: \"listener.hsts.max_age\" must be a duration, which is a string such as \"2s\", "
                  "not a number"});
    CHECK(to_strings(load_hsts("{ maxage = \"1h\" }")) ==
          Strings{"t:4:10: unknown key \"listener.hsts.maxage\"; did you mean \"max_age\"?"});
    CHECK(to_strings(load_hsts("\"max-age=1\"")) ==
          Strings{"t:4:8: \"listener.hsts\" must be a table, not a string"});
}

TEST_CASE("preload is refused where browsers would refuse it") {
    const std::string told =
        "browsers' preload lists take no site without include_subdomains = true and a max_age of at least "
        "\"365d\"";
    CHECK(to_strings(load_hsts("{ max_age = \"365d\", preload = true }")) == Strings{"t:4:28: " + told});
    CHECK(to_strings(load_hsts("{ preload = true, max_age = \"364d\", include_subdomains = true }")) ==
          Strings{"t:4:10: " + told});
}

TEST_CASE("hsts without TLS is a mistake") {
    const std::string listener = "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n";
    CHECK(mistakes_in(listener + "hsts = { max_age = \"1h\" }\n") ==
          Strings{"t:4:1: \"listener.hsts\" needs [listener.tls]: browsers heed it over https only"});
    CHECK(mistakes_in(listener + "hsts = { max_age = \"1h\" }\n[listener.tsl]\n") ==
          Strings{"t:5:11: unknown key \"listener.tsl\"; did you mean \"tls\"?"});
}

}  // namespace
}  // namespace palier::config
