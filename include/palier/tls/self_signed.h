// A certificate that nobody vouches for, made at this moment: for demonstrations, not for sites.
// Thread: any.
#pragma once

#include "palier/base/result.h"

#include <span>
#include <string>

namespace palier::tls {

/// One PEM text: a fresh P-256 key and a certificate for these host names and IP addresses (at least one),
/// valid from now for 30 days.
[[nodiscard]] base::Result<std::string> self_signed_pem(std::span<const std::string> dns_names_and_ips);

}  // namespace palier::tls
