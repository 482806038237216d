// What the machine lets this process have, and what it gives back: CPUs, file descriptors, memory.
// Thread: any, before the workers start.
#pragma once

#include <cstddef>
#include <cstdint>

namespace palier::app {

/// CPUs that this process may be scheduled on, and no more than its control groups grant it the time of; at least 1.
[[nodiscard]] unsigned usable_cpus();

/// Raises the soft limit of file descriptors to the hard one and returns it.
[[nodiscard]] std::size_t raise_descriptor_limit();

/// Client connections that fit into `descriptors`, when each may need one to a backend too.
[[nodiscard]] std::size_t clients_within(std::size_t descriptors);

/// Has large buffers come from the system and go back to it, so that a burst of uploads leaves no memory
/// behind.
void return_large_blocks();

}  // namespace palier::app
