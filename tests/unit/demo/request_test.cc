#include "demo/request.h"

#include "catch.h"

namespace palier::demo {
namespace {

TEST_CASE("fields are found whatever their case") {
    const SeenRequest request{
        "GET", "/", {{"accept", "a"}, {"ACCEPT", "b"}, {"Accept-Language", "c"}}, 0, ""};
    CHECK(request.field("Accept") == "a");
    CHECK(request.field("accept-language") == "c");
    CHECK(request.field("Accep").empty());
}

TEST_CASE("path and parameters are taken from the target") {
    const SeenRequest request{"GET", "/slow?a=1&ms=500&&empty=&flag&ms=2", {}, 0, ""};
    CHECK(request.path() == "/slow");
    CHECK(request.parameter("ms") == "500");
    CHECK(request.parameter("a") == "1");
    CHECK(request.parameter("empty").empty());
    CHECK(request.parameter("flag").empty());
    CHECK(request.parameter("m").empty());
    const SeenRequest bare{"GET", "/slow", {}, 0, ""};
    CHECK(bare.path() == "/slow");
    CHECK(bare.parameter("ms").empty());
}

}  // namespace
}  // namespace palier::demo
