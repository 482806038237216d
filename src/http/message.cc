#include "palier/http/message.h"

#include "http/ascii.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

namespace palier::http {
namespace {

/// A lower-case literal as a template argument, with a mask that folds the two cases of its letters together.
template <std::size_t N>
struct Spelling {
    consteval Spelling(const char (&literal)[N]) {  // NOLINT(google-explicit-constructor)
        for (std::size_t i = 0; i + 1 < N; ++i) {
            text[i] = literal[i];
            mask[i] = literal[i] >= 'a' && literal[i] <= 'z' ? 0x20 : 0;
        }
    }

    char text[N - 1]{};
    char mask[N - 1]{};
};

template <typename Word>
[[nodiscard]] inline bool same_word(const char* name, const char* text, const char* mask) {
    Word word;
    Word folded;
    Word wanted;
    std::memcpy(&word, name, sizeof word);
    std::memcpy(&folded, mask, sizeof folded);
    std::memcpy(&wanted, text, sizeof wanted);
    return static_cast<Word>(word | folded) == wanted;
}

/// Whether `name`, which is as long as S, is S in any case. Whole words, the last one overlapping: names are
/// looked up for each field of each message.
template <Spelling S>
[[nodiscard]] inline bool spells(const char* name) {
    constexpr std::size_t kSize = sizeof S.text;
    if constexpr (kSize >= 8) {
        for (std::size_t at = 0; at + 8 < kSize; at += 8) {
            if (!same_word<std::uint64_t>(name + at, S.text + at, S.mask + at)) return false;
        }
        return same_word<std::uint64_t>(name + kSize - 8, S.text + kSize - 8, S.mask + kSize - 8);
    } else if constexpr (kSize >= 4) {
        return same_word<std::uint32_t>(name, S.text, S.mask) &&
               same_word<std::uint32_t>(name + kSize - 4, S.text + kSize - 4, S.mask + kSize - 4);
    } else {
        return same_word<std::uint16_t>(name, S.text, S.mask) &&
               same_word<std::uint16_t>(name + kSize - 2, S.text + kSize - 2, S.mask + kSize - 2);
    }
}

/// `pattern` in any case, where '-' stands for any one sign.
[[nodiscard]] bool spells_loosely(std::string_view name, std::string_view pattern) {
    return std::equal(name.begin(), name.end(), pattern.begin(), pattern.end(), [](char c, char wanted) {
        return wanted == '-' ? !is(kAlnum, c) : to_lower(c) == wanted;
    });
}

constexpr std::string_view kForwardedPrefix = "x-forwarded-";

/// `name` begins with x and a sign.
[[nodiscard]] Name x_name_of(std::string_view name) {
    if (spells_loosely(name, "x-real-ip")) return Name::x_real_ip;
    if (spells_loosely(name, "x-request-id")) return Name::x_request_id;
    if (spells_loosely(name, "x-client-subject")) return Name::x_client_subject;
    if (spells_loosely(name, "x-forwarded")) return Name::x_forwarded_other;
    if (!spells_loosely(name.substr(0, kForwardedPrefix.size()), kForwardedPrefix)) return Name::other;
    constexpr std::array<std::pair<std::string_view, Name>, 4> kMembers{{{"for", Name::x_forwarded_for},
                                                                         {"host", Name::x_forwarded_host},
                                                                         {"port", Name::x_forwarded_port},
                                                                         {"proto", Name::x_forwarded_proto}}};
    for (const auto& [member, known] : kMembers) {
        if (equals_icase(name.substr(kForwardedPrefix.size()), member)) return known;
    }
    return Name::x_forwarded_other;
}

}  // namespace

Method method_of(std::string_view token) {
    switch (token.size()) {
        case 3:
            if (token == "GET") return Method::get;
            if (token == "PUT") return Method::put;
            break;
        case 4:
            if (token == "HEAD") return Method::head;
            if (token == "POST") return Method::post;
            break;
        case 5:
            if (token == "PATCH") return Method::patch;
            if (token == "TRACE") return Method::trace;
            break;
        case 6:
            if (token == "DELETE") return Method::delete_;
            break;
        case 7:
            if (token == "OPTIONS") return Method::options;
            if (token == "CONNECT") return Method::connect;
            break;
        default:
            break;
    }
    return Method::extension;
}

bool is_idempotent(Method method) {
    switch (method) {
        case Method::get:
        case Method::head:
        case Method::put:
        case Method::delete_:
        case Method::options:
        case Method::trace:
            return true;
        case Method::post:
        case Method::patch:
        case Method::connect:
        case Method::extension:
            return false;
    }
    return false;
}

Name name_of(std::string_view field_name) {
    if (field_name.size() < 2) return Name::other;
    const char* name = field_name.data();
    if ((name[0] | 0x20) == 'x' && !is(kAlnum, name[1])) return x_name_of(field_name);
    switch (field_name.size()) {
        case 2:
            if (spells<"te">(name)) return Name::te;
            break;
        case 4:
            if (spells<"host">(name)) return Name::host;
            if (spells<"date">(name)) return Name::date;
            break;
        case 6:
            if (spells<"accept">(name)) return Name::accept;
            if (spells<"cookie">(name)) return Name::cookie;
            if (spells<"server">(name)) return Name::server;
            if (spells<"expect">(name)) return Name::expect;
            break;
        case 7:
            if (spells<"referer">(name)) return Name::referer;
            if (spells<"upgrade">(name)) return Name::upgrade;
            if (spells<"trailer">(name)) return Name::trailer;
            break;
        case 8:
            if (spells<"location">(name)) return Name::location;
            break;
        case 9:
            if (spells<"forwarded">(name)) return Name::forwarded;
            break;
        case 10:
            if (spells<"user-agent">(name)) return Name::user_agent;
            if (spells<"connection">(name)) return Name::connection;
            if (spells<"keep-alive">(name)) return Name::keep_alive;
            break;
        case 12:
            if (spells<"content-type">(name)) return Name::content_type;
            break;
        case 14:
            if (spells<"content-length">(name)) return Name::content_length;
            if (spells<"http2-settings">(name)) return Name::http2_settings;
            break;
        case 16:
            if (spells<"proxy-connection">(name)) return Name::proxy_connection;
            break;
        case 17:
            if (spells<"transfer-encoding">(name)) return Name::transfer_encoding;
            break;
        case 18:
            if (spells<"proxy-authenticate">(name)) return Name::proxy_authenticate;
            break;
        case 19:
            if (spells<"proxy-authorization">(name)) return Name::proxy_authorization;
            break;
        case 25:
            if (spells<"strict-transport-security">(name)) return Name::strict_transport_security;
            break;
        default:
            break;
    }
    return Name::other;
}

bool is_forwarded_family(Name known) {
    switch (known) {
        case Name::forwarded:
        case Name::x_client_subject:
        case Name::x_forwarded_for:
        case Name::x_forwarded_host:
        case Name::x_forwarded_port:
        case Name::x_forwarded_proto:
        case Name::x_forwarded_other:
        case Name::x_real_ip:
        case Name::x_request_id:
            return true;
        default:
            return false;
    }
}

bool is_canonical_spelling(Name known, std::string_view field_name) {
    if (!is_forwarded_family(known)) return true;
    return std::all_of(field_name.begin(), field_name.end(),
                       [](char c) { return c == '-' || is(kAlnum, c); });
}

}  // namespace palier::http
