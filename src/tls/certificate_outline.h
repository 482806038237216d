// CertificateOutline: what the index needs to know of a certificate (RFC 5280 section 4.1), read in a few
// microseconds, without decoding its key: tens of thousands are outlined at each start.
// Thread: values, any thread.
#pragma once

#include "palier/tls/certificate_store.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace palier::tls {

struct CertificateOutline {
    std::string names;  // host names in their one form, each ended by '\n'; only the leftmost label is "*"
    std::int64_t not_before = 0;  // seconds since 1970
    std::int64_t not_after = 0;
    KeyType key_type = KeyType::other;
    bool authority = false;  // a certificate authority's
};

/// Nothing for what is no certificate. The names are the subject alternative ones, or the common name when
/// there is none; what is no host name is left out.
[[nodiscard]] std::optional<CertificateOutline> outline_certificate(std::string_view der);

}  // namespace palier::tls
