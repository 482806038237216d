#include "palier/base/result.h"

#include <system_error>

namespace palier::base {

std::unexpected<Error> system_failure(const std::string& what, int code) {
    return std::unexpected(
        Error{what + ": " + std::system_category().message(code), Side::ourselves, Retry::no, code});
}

}  // namespace palier::base
