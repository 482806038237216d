#include "palier/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace palier::base {

void assertion_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "palier: assertion failed at %s:%d: %s\n", file, line, expression);
    std::abort();
}

}  // namespace palier::base
