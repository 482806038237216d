#include "app/limits.h"

#include "app/cgroup.h"

#include <algorithm>
#include <cmath>

#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>

namespace palier::app {
namespace {

constexpr std::size_t kReservedDescriptors = 64;  // logs, listening sockets, epoll sets, the DNS

constexpr int kLargeBlock = 64 * 1024;  // bytes; base::BufferCache keeps some for reuse

}  // namespace

unsigned usable_cpus() {
    cpu_set_t cpus;
    const int scheduled = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    // One and a half are two workers: of one alone, a half would stand idle.
    const double quota = std::ceil(Cgroup().cpu_quota().value_or(scheduled));
    return static_cast<unsigned>(std::clamp(quota, 1.0, static_cast<double>(std::max(1, scheduled))));
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        rlimit raised = limit;
        raised.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return static_cast<std::size_t>(limit.rlim_cur);
}

void return_large_blocks() {
    ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
}

std::size_t clients_within(std::size_t descriptors) {
    return descriptors > 2 * kReservedDescriptors ? (descriptors - kReservedDescriptors) / 2
                                                  : kReservedDescriptors;
}

}  // namespace palier::app
