// OpenSSL's error queue as words. Thread: any; the queue is the calling thread's.
#pragma once

#include <string>

namespace palier::tls {

/// The earliest error, which names the cause; the queue is empty afterwards. "unknown error" where there is
/// none.
[[nodiscard]] std::string take_openssl_error();

}  // namespace palier::tls
