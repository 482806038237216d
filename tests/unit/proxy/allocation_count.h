// How often this thread has called operator new, in the unit tests of this module.
#pragma once

#include <cstdint>

namespace palier::test {

[[nodiscard]] std::uint64_t allocations_of_this_thread();

}  // namespace palier::test
