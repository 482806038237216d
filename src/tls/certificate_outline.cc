#include "tls/certificate_outline.h"

#include "tls/der.h"
#include "tls/host_name.h"

#include <array>
#include <chrono>
#include <utility>

namespace palier::tls {
namespace {

using namespace std::string_view_literals;

// Contents of object identifiers.
constexpr std::string_view kCommonName = "\x55\x04\x03"sv;
constexpr std::string_view kAlternativeName = "\x55\x1d\x11"sv;
constexpr std::string_view kBasicConstraints = "\x55\x1d\x13"sv;

constexpr std::array<std::pair<std::string_view, KeyType>, 5> kKeyTypes{{
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"sv, KeyType::rsa},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv, KeyType::rsa_pss},
    {"\x2a\x86\x48\xce\x3d\x02\x01"sv, KeyType::ecdsa},
    {"\x2b\x65\x70"sv, KeyType::ed25519},
    {"\x2b\x65\x71"sv, KeyType::ed448},
}};

constexpr std::uint8_t kDnsName = der::context(2, false);

std::optional<unsigned> take_digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return std::nullopt;
    unsigned value = 0;
    for (const char digit : text.substr(0, count)) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    text.remove_prefix(count);
    return value;
}

/// RFC 5280 section 4.1.2.5: seconds are there, the zone is Z, no fractions.
std::optional<std::int64_t> read_time(const DerValue& value) {
    std::string_view text = value.content;
    std::optional<unsigned> year;
    if (value.tag == der::kUtcTime) {
        year = take_digits(text, 2);
        if (year) *year += *year < 50 ? 2000 : 1900;
    } else if (value.tag == der::kGeneralizedTime) {
        year = take_digits(text, 4);
    }
    const auto month = take_digits(text, 2);
    const auto day = take_digits(text, 2);
    const auto hour = take_digits(text, 2);
    const auto minute = take_digits(text, 2);
    const auto second = take_digits(text, 2);
    if (!year || !month || !day || !hour || !minute || !second || text != "Z") return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                           std::chrono::month(*month), std::chrono::day(*day)};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    const auto days = std::chrono::sys_days(date).time_since_epoch().count();
    return std::int64_t{days} * 86'400 + *hour * 3'600 + *minute * 60 + *second;
}

bool read_validity(std::string_view validity, CertificateOutline& outline) {
    DerReader reader(validity);
    const auto first = reader.next();
    const auto last = reader.next();
    if (!first || !last || !reader.at_end()) return false;
    const auto not_before = read_time(*first);
    const auto not_after = read_time(*last);
    if (!not_before || !not_after) return false;
    outline.not_before = *not_before;
    outline.not_after = *not_after;
    return true;
}

bool read_key_type(std::string_view key_info, CertificateOutline& outline) {
    DerReader reader(key_info);
    const auto algorithm = reader.next(der::kSequence);
    if (!algorithm || !reader.next(der::kBitString) || !reader.at_end()) return false;
    DerReader parts(*algorithm);
    const auto object = parts.next(der::kObject);
    if (!object) return false;
    for (const auto& [known, type] : kKeyTypes) {
        if (*object == known) outline.key_type = type;
    }
    return true;
}

void add_name(std::string_view text, CertificateOutline& outline) {
    const HostName name(text, true);
    if (!name.empty()) outline.names.append(name.view()).push_back('\n');
}

bool read_alternative_names(std::string_view extension, CertificateOutline& outline, bool& has_host_names) {
    DerReader outer(extension);
    const auto list = outer.next(der::kSequence);
    if (!list || !outer.at_end()) return false;
    DerReader reader(*list);
    while (!reader.at_end()) {
        const auto name = reader.next();
        if (!name) return false;
        if (name->tag != kDnsName) continue;
        has_host_names = true;
        add_name(name->content, outline);
    }
    return true;
}

bool read_basic_constraints(std::string_view extension, CertificateOutline& outline) {
    DerReader outer(extension);
    const auto sequence = outer.next(der::kSequence);
    if (!sequence || !outer.at_end()) return false;
    DerReader reader(*sequence);
    const auto authority = reader.next(der::kBoolean);
    outline.authority = authority && *authority == "\xff"sv;
    return true;
}

bool read_extensions(std::string_view explicit_list, CertificateOutline& outline, bool& has_host_names) {
    DerReader outer(explicit_list);
    const auto list = outer.next(der::kSequence);
    if (!list || !outer.at_end()) return false;
    DerReader reader(*list);
    while (!reader.at_end()) {
        const auto extension = reader.next(der::kSequence);
        if (!extension) return false;
        DerReader parts(*extension);
        const auto object = parts.next(der::kObject);
        static_cast<void>(parts.next(der::kBoolean));  // critical
        const auto content = parts.next(der::kOctetString);
        if (!object || !content || !parts.at_end()) return false;
        if (*object == kAlternativeName && !read_alternative_names(*content, outline, has_host_names))
            return false;
        if (*object == kBasicConstraints && !read_basic_constraints(*content, outline)) return false;
    }
    return true;
}

bool is_text(std::uint8_t tag) {
    return tag == der::kUtf8String || tag == der::kPrintableString || tag == der::kIa5String ||
           tag == der::kT61String;
}

/// The subject's last common name, the most specific one.
bool read_common_name(std::string_view subject, CertificateOutline& outline) {
    std::string_view common_name;
    DerReader reader(subject);
    while (!reader.at_end()) {
        const auto set = reader.next(der::kSet);
        if (!set) return false;
        DerReader attributes(*set);
        while (!attributes.at_end()) {
            const auto attribute = attributes.next(der::kSequence);
            if (!attribute) return false;
            DerReader parts(*attribute);
            const auto object = parts.next(der::kObject);
            const auto value = parts.next();
            if (!object || !value || !parts.at_end()) return false;
            if (*object == kCommonName && is_text(value->tag)) common_name = value->content;
        }
    }
    add_name(common_name, outline);
    return true;
}

/// What follows the subject's key: unique identifiers of old, and the extensions.
bool read_rest(DerReader& reader, CertificateOutline& outline, bool& has_host_names) {
    while (!reader.at_end()) {
        const auto value = reader.next();
        if (!value) return false;
        if (value->tag == der::context(3, true) && !read_extensions(value->content, outline, has_host_names))
            return false;
    }
    return true;
}

}  // namespace

std::optional<CertificateOutline> outline_certificate(std::string_view der) {
    DerReader file(der);
    const auto certificate = file.next(der::kSequence);
    if (!certificate || !file.at_end()) return std::nullopt;
    DerReader signed_parts(*certificate);
    const auto body = signed_parts.next(der::kSequence);
    if (!body || !signed_parts.next(der::kSequence) || !signed_parts.next(der::kBitString) ||
        !signed_parts.at_end()) {
        return std::nullopt;
    }

    CertificateOutline outline;
    DerReader reader(*body);
    static_cast<void>(reader.next(der::context(0, true)));  // version
    const auto serial = reader.next(der::kInteger);
    const auto signature = reader.next(der::kSequence);
    const auto issuer = reader.next(der::kSequence);
    const auto validity = reader.next(der::kSequence);
    const auto subject = reader.next(der::kSequence);
    const auto key_info = reader.next(der::kSequence);
    if (!serial || !signature || !issuer || !validity || !subject || !key_info) return std::nullopt;
    bool has_host_names = false;
    if (!read_validity(*validity, outline) || !read_key_type(*key_info, outline) ||
        !read_rest(reader, outline, has_host_names)) {
        return std::nullopt;
    }
    if (!has_host_names && !read_common_name(*subject, outline)) return std::nullopt;
    return outline;
}

}  // namespace palier::tls
