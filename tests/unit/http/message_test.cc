#include "palier/http/message.h"

#include "catch.h"

#include <cctype>
#include <string>
#include <utility>

using namespace palier::http;

namespace {

const std::pair<const char*, Name> kNames[] = {{"accept", Name::accept},
                                               {"connection", Name::connection},
                                               {"content-length", Name::content_length},
                                               {"content-type", Name::content_type},
                                               {"cookie", Name::cookie},
                                               {"date", Name::date},
                                               {"expect", Name::expect},
                                               {"forwarded", Name::forwarded},
                                               {"host", Name::host},
                                               {"http2-settings", Name::http2_settings},
                                               {"keep-alive", Name::keep_alive},
                                               {"location", Name::location},
                                               {"proxy-authenticate", Name::proxy_authenticate},
                                               {"proxy-authorization", Name::proxy_authorization},
                                               {"proxy-connection", Name::proxy_connection},
                                               {"referer", Name::referer},
                                               {"server", Name::server},
                                               {"te", Name::te},
                                               {"trailer", Name::trailer},
                                               {"transfer-encoding", Name::transfer_encoding},
                                               {"upgrade", Name::upgrade},
                                               {"user-agent", Name::user_agent},
                                               {"x-forwarded-for", Name::x_forwarded_for},
                                               {"x-forwarded-host", Name::x_forwarded_host},
                                               {"x-forwarded-port", Name::x_forwarded_port},
                                               {"x-forwarded-proto", Name::x_forwarded_proto},
                                               {"x-forwarded-ssl", Name::x_forwarded_other},
                                               {"x-forwarded-", Name::x_forwarded_other},
                                               {"x-forwarded", Name::x_forwarded_other},
                                               {"x-real-ip", Name::x_real_ip},
                                               {"x-request-id", Name::x_request_id}};

}  // namespace

TEST_CASE("Known names are recognised in any case") {
    for (const auto& [text, known] : kNames) {
        std::string name = text;
        CAPTURE(name);
        CHECK(name_of(name) == known);
        CHECK(is_canonical_spelling(known, name));
        for (std::size_t i = 0; i < name.size(); ++i) {
            std::string other = name;
            other[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(other[i])));
            CHECK(name_of(other) == known);
        }
    }
}

TEST_CASE("A name that differs in one byte is another name") {
    for (const auto& [text, known] : kNames) {
        const bool prefix = known == Name::x_forwarded_other;
        for (std::size_t i = 0; i < std::string(text).size(); ++i) {
            for (int byte = 0; byte < 256 && !prefix; ++byte) {
                std::string name = text;
                const char original = name[i];
                name[i] = static_cast<char>(byte);
                const bool family = is_forwarded_family(known) && known != Name::forwarded;
                const bool same_letter =
                    std::isalpha(static_cast<unsigned char>(original)) != 0 && (byte | 0x20) == original;
                const bool other_sign = original == '-' && family && std::isalnum(byte) == 0;
                CAPTURE(name, byte);
                if (byte == original || same_letter || other_sign) {
                    CHECK(name_of(name) == known);
                } else {
                    CHECK(name_of(name) != known);
                }
            }
        }
    }
    for (const char* name : {"", "x", "-", "hos", "hostx", "x-", "xforwarded-for", "x-forwardedfor",
                             "x-forward", "x-real-ipx", "x-requested-with", "content_length", "cookie2"}) {
        CHECK(name_of(name) == Name::other);
    }
}

TEST_CASE("The forwarded family is recognised in the spellings that CGI folds together") {
    CHECK(name_of("X_Forwarded_Proto") == Name::x_forwarded_proto);
    CHECK(name_of("x.forwarded.for") == Name::x_forwarded_for);
    CHECK(name_of("X-Forwarded_Host") == Name::x_forwarded_host);
    CHECK(name_of("X!Forwarded~Port") == Name::x_forwarded_port);
    CHECK(name_of("X_Forwarded_Ssl") == Name::x_forwarded_other);
    CHECK(name_of("X_Forwarded") == Name::x_forwarded_other);
    CHECK(name_of("X_Real_IP") == Name::x_real_ip);
    CHECK(name_of("X.Request-Id") == Name::x_request_id);
    CHECK_FALSE(is_canonical_spelling(Name::x_forwarded_proto, "X_Forwarded_Proto"));
    CHECK_FALSE(is_canonical_spelling(Name::x_real_ip, "X-Real.IP"));
    CHECK_FALSE(is_canonical_spelling(Name::x_forwarded_other, "X-Forwarded-S_S"));
    CHECK(is_canonical_spelling(Name::x_forwarded_other, "X-Forwarded-Ssl"));
    CHECK(is_canonical_spelling(Name::other, "A_b"));
}

TEST_CASE("Methods") {
    const std::pair<const char*, Method> methods[] = {
        {"GET", Method::get},         {"HEAD", Method::head},      {"POST", Method::post},
        {"PUT", Method::put},         {"DELETE", Method::delete_}, {"OPTIONS", Method::options},
        {"TRACE", Method::trace},     {"PATCH", Method::patch},    {"CONNECT", Method::connect},
        {"PURGE", Method::extension}, {"get", Method::extension},  {"", Method::extension}};
    for (const auto& [token, method] : methods)
        CHECK(method_of(token) == method);
    for (const Method method :
         {Method::get, Method::head, Method::put, Method::delete_, Method::options, Method::trace}) {
        CHECK(is_idempotent(method));
    }
    for (const Method method : {Method::post, Method::patch, Method::connect, Method::extension})
        CHECK_FALSE(is_idempotent(method));
}
