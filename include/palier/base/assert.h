// PALIER_ASSERT: an invariant of our own code, checked in every build because the check is cheap.
// What a peer sends is never asserted on.
#pragma once

namespace palier::base {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace palier::base

#define PALIER_ASSERT(expression) \
    ((expression) ? static_cast<void>(0) : ::palier::base::assertion_failed(#expression, __FILE__, __LINE__))
