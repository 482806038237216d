#include "tls/openssl.h"

#include <ctime>
#include <limits>

namespace palier::tls {

std::int64_t to_unix(const ASN1_TIME* time) {
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1)
        return std::numeric_limits<std::int64_t>::min();
    return ::timegm(&parts);
}

}  // namespace palier::tls
